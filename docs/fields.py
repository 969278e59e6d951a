"""Writes the tables of fields into docs/rules.md: python docs/fields.py."""

from __future__ import annotations

from pathlib import Path

from llmvitals.rules.kinds import KINDS
from llmvitals.rules.schema import field_table

PAGE = Path(__file__).with_name("rules.md")
BEGIN, END = "<!-- begin: docs/fields.py -->\n", "<!-- end: docs/fields.py -->\n"


def current(page: str) -> str:
    """The page with the tables of all kinds between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n\n".join(map(field_table, KINDS.values()))
    return f"{before}{BEGIN}\n{tables}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""docs/rules.md has the fields of all kinds as their models have them."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_tables_are_current():
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    current = runpy.run_path(str(DOCS / "fields.py"))["current"](page)
    assert page == current, "docs/rules.md is not current: run python docs/fields.py"


def test_each_kind_has_a_table():
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert "| `limit` | The limit: dollars, tokens or calls. | required |" in page
    assert page.count("| field | what it is | default |") == 9

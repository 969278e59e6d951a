"""Writes docs/settings.md from the settings: python docs/settings_page.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from llmvitals.environment import PREFIX
from llmvitals.settings import SECTIONS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

PAGE = Path(__file__).with_name("settings.md")
HEAD = """# Settings

<!-- made by docs/settings_page.py: change the descriptions in src/llmvitals/settings/settings.py -->

Each setting is an environment variable, a line of `llmvitals.toml` (under the name in the first column), or
`--set NAME=VALUE` on the command line. `--set` takes precedence over the environment, and the environment
over the file; `LLMVITALS_CONFIG` or `--config` names another file. Durations are written `500ms`, `10s`,
`5m`, `1h`, `7d`; lists and tables in the environment are JSON. `llmvitals config show` prints the values that
are in effect, without secrets.
"""
COLUMNS = "| setting | variable | default | what it means |\n|---|---|---|---|\n"


def current() -> str:
    """The page as it has to be."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            parts.append(f"\n## {SECTIONS[name]}\n\n{COLUMNS}")
        parts.append("".join(row(name, field)))
    return "".join(parts)


def row(name: str, field: FieldInfo) -> Iterator[str]:
    """The setting's row of the table."""
    if not field.description:
        raise ValueError(f"the setting {name} has no description")
    text = field.description.replace("|", "\\|")
    yield f"| `{name}` | `{PREFIX}{name.upper()}` | {default(field)} | {text} |\n"


def default(field: FieldInfo) -> str:
    """The default as it is written in the environment; an empty text for none."""
    value = field.default
    if value is None or value in ((), {}):
        return ""
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")

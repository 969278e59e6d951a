"""Writes the table of recordings into docs/integrations.md: python docs/integrations_page.py."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmvitals.ingest import decode
from llmvitals.record.call import MODEL_OPERATIONS
from llmvitals.record.view import DIMENSIONS

if TYPE_CHECKING:
    from llmvitals.record.call import Call

PAGE = Path(__file__).with_name("integrations.md")
RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "interop"
BEGIN, END = "<!-- begin: docs/integrations_page.py -->\n", "<!-- end: docs/integrations_page.py -->\n"
HEAD = "| system | events | tokens | dimensions |\n|---|---|---|---|\n"
TOKENS = {
    "input_tokens": "input", "output_tokens": "output", "cached_tokens": "cached",
    "cache_write_tokens": "cache writes", "reasoning_tokens": "reasoning", "cost_usd": "cost",
    "ttft_ms": "TTFT",
}  # fmt: skip


def current(page: str) -> str:
    """The page with the table of all recorded systems between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def table() -> str:
    """A row for each system: what llmvitals reads of its recordings."""
    expected: dict[str, dict[str, Any]] = json.loads((RECORDINGS / "expected.json").read_bytes())
    calls: dict[str, list[Call]] = defaultdict(list)
    for recording in expected.values():
        for file in recording["files"]:
            if file.endswith(".json"):
                calls[recording["system"]] += decode((RECORDINGS / file).read_bytes(), 1).calls
    return HEAD + "".join(row(system, found) for system, found in sorted(calls.items()))


def row(system: str, calls: list[Call]) -> str:
    """The row of a system."""
    kinds = sorted({kind for call in calls for kind in kinds_of(call)})
    tokens = [text for name, text in TOKENS.items() if any(getattr(call, name) for call in calls)]
    names = [
        name
        for name in (*DIMENSIONS, "prompt_name", "prompt_version")
        if name not in ("operation", "status") and any(getattr(call, name) for call in calls)
    ]
    dimensions = ", ".join(f"`{name}`" for name in dict.fromkeys(names))
    return f"| {system} | {', '.join(kinds)} | {', '.join(tokens) or '–'} | {dimensions or '–'} |\n"


def kinds_of(call: Call) -> set[str]:
    """The kinds of event that a call counts as."""
    own = "call" if call.operation in MODEL_OPERATIONS - {"embedding"} else call.operation
    return {own} | {
        kind for kind, held in (("guardrail", call.guardrails), ("evaluation", call.scores)) if held
    }


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

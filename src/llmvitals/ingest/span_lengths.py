"""Measures the texts in attributes of spans; see `llmvitals.lengths`."""

from __future__ import annotations

import re
from typing import Any, Final

from llmvitals.ingest.span import Span
from llmvitals.ingest.values import structure
from llmvitals.lengths import TEXT_KINDS, length, total

_KIND: Final = re.compile(r"\.type$")
_MARK: Final = re.compile(r"\.(id|tool_call_id|finish_reason)$")


class SpanLengths:
    """Measures the attributes of spans: those of the input, of the output, and of definitions of tools."""

    def __init__(self, *, inputs: str, outputs: str, tools: str) -> None:
        """Take patterns that match names of attributes."""
        self._inputs, self._outputs, self._tools = re.compile(inputs), re.compile(outputs), re.compile(tools)

    def of(self, span: Span) -> dict[str, int | None]:
        """`input_bytes` and `output_bytes`; None where the span has none."""
        found: dict[str, list[int | None]] = {"input_bytes": [], "output_bytes": []}
        for name in span.attributes:
            if self._tools.fullmatch(name):
                found["input_bytes"].append(length(span.get(name)))
            elif self._inputs.fullmatch(name):
                found["input_bytes"].append(_attribute(name, span.get(name)))
            elif self._outputs.fullmatch(name):
                found["output_bytes"].append(_attribute(name, span.get(name)))
        return {name: total(lengths) if lengths else None for name, lengths in found.items()}


def _attribute(name: str, value: Any) -> int | None:
    if _KIND.search(name):
        return 0 if isinstance(value, str) and value in TEXT_KINDS else None
    if _MARK.search(name):
        return 0
    parsed = structure(value)
    return length(value if parsed is None else parsed)

"""Several traces in one export whose spans have the same ids, such as 1, 2, 3 in each."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.ingest import decode
from spans import CHAT, Attributes, export, span

Json = dict[str, Any]

AGENT: Attributes = {"openinference.span.kind": "AGENT", "agent.name": "outer", "session.id": "s-1"}
TOOL: Attributes = {"openinference.span.kind": "TOOL", "tool.name": "add"}
BLOCK: Attributes = {
    "openinference.span.kind": "GUARDRAIL",
    "guardrail_status": "guardrail_intervened",
    "guardrail_name": "pii",
}
SEARCH: Attributes = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "x"}
EMBED: Attributes = {"openinference.span.kind": "EMBEDDING", "llm.token_count.prompt": 3}
KINDS: list[Attributes] = [CHAT, AGENT, TOOL, BLOCK, SEARCH, EMBED, {"http.request.method": "POST"}]


def told(*spans: Json) -> list[str]:
    return sorted(json.dumps(msgspec.to_builtins(call)) for call in decode(export(("a", [*spans]))).calls)


@st.composite
def traces(draw: st.DrawFn) -> tuple[list[Json], list[Json]]:
    """Two traces. The spans of each are numbered from 1, and the parent of one has a smaller number."""
    found = []
    for trace in (1, 2):
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
        failed = {"status": {"code": 2}}
        found.append([
            span(number, kind, trace=trace, parent=draw(st.integers(0, number - 1)),
                 **(failed if draw(st.booleans()) else {}))
            for number, kind in enumerate(kinds, 1)
        ])  # fmt: skip
    return found[0], found[1]


@given(traces())
def test_each_trace_is_read_as_if_it_came_alone(both: tuple[list[Json], list[Json]]) -> None:
    first, second = both
    assert told(*first, *second) == sorted(told(*first) + told(*second))


def test_a_call_is_not_around_that_of_another_trace() -> None:
    other = [span(1, AGENT, trace=2), span(2, CHAT, trace=2, parent=1)]
    for spans in ([*other, span(1, CHAT)], [span(1, CHAT), *other]):
        calls = decode(export(("a", spans))).calls
        assert sorted((call.trace_id or "")[-1:] + str(call.session) for call in calls) == ["1None", "2s-1"]


def test_the_run_of_another_trace_says_nothing_of_a_call() -> None:
    lone = span(2, CHAT, parent=1)  # whose parent comes in another export
    (call,) = decode(export(("a", [span(1, AGENT, trace=2), lone]))).calls
    assert call.session is None

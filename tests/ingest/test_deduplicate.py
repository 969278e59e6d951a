"""One call that several instrumentors tell of, without an id that says so."""

import itertools
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call
from spans import Attributes, during, event, export, span

CHAT: Attributes = {"openinference.span.kind": "LLM", "llm.output_messages.0.message.role": "assistant"}
ASKED = {"llm.model_name": "gpt-4o-mini"}
ANSWERED = {
    "llm.model_name": "gpt-4o-mini-2024-07-18",
    "llm.invocation_parameters": '{"model": "gpt-4o-mini"}',
}
TOKENS = {"llm.token_count.prompt": 10, "llm.token_count.completion": 2}
FAILED = {"status": {"code": 2}}
NUMBERS = itertools.count(1)

Told = tuple[str, dict[str, Any]]


def told(scope: str, attributes: Attributes, start: int, end: int, **more: Any) -> Told:
    number = next(NUMBERS)
    return scope, span(number, CHAT | attributes, trace=number, **during(start, end), **more)


def calls(*spans: Told) -> list[Call]:
    return decode(export(*((scope, [one]) for scope, one in spans))).calls


@pytest.mark.parametrize(
    ("outer", "inner", "more"),
    [
        (ASKED | TOKENS, ANSWERED | TOKENS, {}),
        (ASKED, ANSWERED, {}),  # streams without usage
        (ASKED, ANSWERED | TOKENS, {}),
        (ASKED | TOKENS, ANSWERED, {}),
        (ASKED, {"llm.invocation_parameters": '{"model": "gpt-4o-mini"}'}, FAILED),
        ({}, ASKED, FAILED),
    ],
)
def test_a_call_within_that_of_another_instrumentor(
    outer: Attributes, inner: Attributes, more: dict[str, Any]
) -> None:
    (call,) = calls(told("langchain", outer, 0, 100, **more), told("openai", inner, 10, 90, **more))
    assert (call.latency_ms, call.model) == (100, "gpt-4o-mini")
    assert call.input_tokens == (10 if TOKENS.items() <= (outer | inner).items() else None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", ASKED | TOKENS, 0, 100), ("a", ASKED | TOKENS, 10, 90)),
        (("a", ASKED | TOKENS, 0, 100), ("b", ASKED | TOKENS, 30, 130)),
        (("a", ASKED | TOKENS, 0, 100), ("b", ASKED | TOKENS | {"llm.token_count.completion": 3}, 10, 90)),
        (("a", ASKED, 0, 100), ("b", {"llm.model_name": "gpt-4o"}, 10, 90)),
    ],
)
def test_two_calls_at_one_time(
    first: tuple[str, Attributes, int, int], second: tuple[str, Attributes, int, int]
) -> None:
    assert len(calls(told(*first), told(*second))) == 2


def test_a_failure_within_a_success_is_another_call() -> None:
    assert len(calls(told("a", ASKED, 0, 100), told("b", ASKED, 10, 90, **FAILED))) == 2


def test_an_instrumentor_tells_of_each_call_once() -> None:
    outer = told("langchain", ASKED, 0, 100, **FAILED)
    inner = [told("openai", ASKED, start, 90, **FAILED) for start in (10, 20, 30)]
    assert len(calls(outer, *inner)) == 3


def test_as_many_failures_at_one_time_as_each_instrumentor_tells_of() -> None:
    outer = [told("langchain", ASKED, start, 100 + start, **FAILED) for start in range(50)]
    inner = [told("openai", ASKED, 60, 90, **FAILED) for _ in outer]
    assert len(calls(*outer, *inner)) == 50


def test_of_several_calls_around_it_the_nearest_is_the_same_one() -> None:
    outer = [told("langchain", ASKED, 0, 300), told("langchain", ASKED, 40, 600)]
    inner = [told("openai", ASKED, 80, 290), told("openai", ASKED, 90, 590)]
    assert len(calls(*outer, *inner)) == 2


def test_a_stream_whose_span_was_closed_before_its_first_token() -> None:
    early = told("llama_index", ASKED, 0, 2, events=[event("First Token Stream Event", 60)])
    (call,) = calls(early, told("openai", ANSWERED, 5, 200, events=[event("First Token Stream Event", 59)]))
    assert (call.ttft_ms, call.latency_ms) == (60, 195)
    later = told("openai", ANSWERED, 70, 200)
    assert len(calls(early, later)) == 2


def test_a_wrapper_with_the_same_tokens_tells_what_the_inner_call_does_not() -> None:
    outer = span(1, CHAT | ASKED | TOKENS | {"llm.cost.total": 0.5, "llm.provider": "azure"})
    inner = span(2, CHAT | ANSWERED | TOKENS, parent=1)
    (call,) = decode(export(("litellm", [outer]), ("openai", [inner]))).calls
    assert (call.span_id, call.cost_usd, call.provider) == (f"{2:016x}", 0.5, "azure")


def test_a_tool_whose_function_calls_its_own_function_runs_once() -> None:
    tool: Attributes = {"openinference.span.kind": "TOOL", "tool.name": "add"}
    around = span(1, tool)
    assert len(decode(export(("llama_index", [around, span(2, tool, parent=1)]))).calls) == 1
    step = span(2, {"openinference.span.kind": "AGENT"}, parent=1)
    assert len(decode(export(("llama_index", [around, step, span(3, tool, parent=2)]))).calls) == 2


def test_callbacks_of_two_instrumentors_begin_and_end_together() -> None:
    assert len(calls(told("a", ASKED | TOKENS, 0, 100), told("b", ASKED | TOKENS, 1, 104))) == 1
    assert len(calls(told("a", ASKED | TOKENS, 0, 3), told("b", ASKED | TOKENS, 4, 7))) == 2


TOOL = {"openinference.span.kind": "TOOL", "tool.name": "add"}
SEARCH = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "x"}
STORE = {"db.system": "chroma", "db.operation": "query"}


@pytest.mark.parametrize(
    ("outer", "inner", "number"),
    [
        (TOOL, TOOL, 1),
        (TOOL, TOOL | {"tool.name": "subtract"}, 2),
        (SEARCH, SEARCH, 1),
        (SEARCH, STORE | {"db.system": "qdrant"}, 1),  # which does not tell what it found
        (SEARCH, STORE, 2),
    ],
)
def test_tools_and_searches_of_two_instrumentors(outer: Attributes, inner: Attributes, number: int) -> None:
    spans = [
        ("langchain", [span(1, outer, trace=1, name="query", **during(0, 100))]),
        ("other", [span(2, inner, trace=2, name="query", **during(10, 90))]),
    ]
    assert len(decode(export(*spans)).calls) == number


def test_a_class_of_langchain_is_no_agent() -> None:
    run = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "RunnableSequence"}
    (call,) = decode(export(("a", [span(1, run), span(2, CHAT | TOKENS, parent=1)]))).calls
    assert call.agent is None

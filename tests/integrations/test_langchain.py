"""LangChain with the handler, alone and over a client that is wrapped."""

from __future__ import annotations

import pytest

import programs
from planted import SECRET
from programs import Run, assert_first_token, dollars, strings


@pytest.fixture(scope="module")
def done() -> Run:
    return programs.run("langchain_calls", "integrations")


@pytest.mark.parametrize("name", ["chat", "async_chat"])
def test_a_chat_arrives_with_everything_that_is_known(done: Run, name: str) -> None:
    call = done[name].call
    assert done[name].saw == f"The answer is {SECRET}."
    assert (call.operation, call.model, call.requested_model) == (
        "chat",
        "gpt-4o-mini-2024-07-18",
        "gpt-4o-mini",
    )
    assert (call.provider, call.team, call.user, call.session) == ("openai", "search", "u-7", "s-1")
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.reasoning_tokens) == (
        412,
        256,
        37,
        8,
    )
    assert (call.status, call.finish_reason, call.tags) == ("ok", "stop", None)
    assert dollars(call) == pytest.approx(156 * 0.15e-6 + 256 * 0.075e-6 + 37 * 0.6e-6)


@pytest.mark.parametrize(
    ("name", "tokens"), [("stream", None), ("stream_with_usage", 37), ("async_stream", None)]
)
def test_a_stream_has_its_first_token_and_its_usage_only_if_it_tells_it(
    done: Run, name: str, tokens: int | None
) -> None:
    call = done[name].call
    assert (call.stream, call.output_tokens, call.finish_reason) == (True, tokens, "stop")
    assert_first_token(call)


def test_a_closed_stream_is_no_failure_and_a_cancelled_task_is_one(done: Run) -> None:
    closed, cancelled = done["stream_closed"].call, done["async_cancelled"].call
    assert done["stream_closed"].saw == 1
    assert (closed.status, closed.finish_reason, closed.output_tokens) == ("ok", "cancelled", None)
    assert (cancelled.status, cancelled.error_type) == ("error", "cancelled")
    for call in (closed, cancelled):
        assert call.input_bytes, "what was sent is known by its length"
        assert call.output_bytes


def test_a_failure_has_its_class(done: Run) -> None:
    call = done["failure"].call
    assert (call.status, call.error_type, call.model) == ("error", done["failure"].saw, "gpt-4o-mini")


def test_a_chain_gives_its_trace_to_searches_calls_and_tools(done: Run) -> None:
    search, chat, tool = done["chain"].calls
    assert [call.operation for call in (search, chat, tool)] == ["retrieval", "chat", "tool"]
    assert search.retrieval is not None
    assert tool.tools is not None
    assert (search.retrieval.documents, tool.tools[0].name) == (2, "look_up")
    assert len({call.trace_id for call in (search, chat, tool)}) == 1
    assert {call.user for call in (search, chat, tool)} == {"u-7"}
    failed = done["tool_failure"].call
    assert (failed.operation, failed.status, failed.error_type) == ("tool", "error", "LookupError")


def test_tools_and_responses_are_read(done: Run) -> None:
    assert [tool.name for tool in done["tools"].call.tools or ()] == ["look_up"]
    assert (done["responses"].call.output_tokens, done["responses"].call.finish_reason) == (37, "completed")


@pytest.mark.parametrize("name", ["once", "once_streamed", "once_failed", "async_once", "async_once_failed"])
def test_over_a_wrapped_client_a_call_counts_once_with_the_labels_of_the_chain(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.instrumentor, call.user, call.session) == ("llmvitals.openai", "u-7", "s-1")


def test_a_call_that_is_made_while_a_stream_is_read_is_another_one(done: Run) -> None:
    calls = done["other_call_between"].calls
    assert sorted(call.instrumentor or "" for call in calls) == ["llmvitals.langchain", "llmvitals.openai"]


def test_embeddings_of_a_wrapped_client_and_labels_around_a_call_arrive(done: Run) -> None:
    assert (done["embeddings"].call.operation, done["embeddings"].call.input_tokens) == ("embedding", 9)
    assert (done["observed"].call.environment, done["observed"].call.user) == ("test", "u-7")


def test_no_text_leaves_unless_it_is_asked_for(done: Run) -> None:
    for name, scenario in done.scenarios.items():
        found = [text for text in strings(scenario.events) if SECRET in text]
        expected = [f"The answer is {SECRET}.", f"What is {SECRET}?"] if name.startswith("texts") else []
        assert sorted(found) == expected, name
    assert SECRET not in done.log
    assert "llmvitals.integrations" not in done.log, "nothing went wrong that is only a warning"

"""LlamaIndex with the handler, alone and over a client that is wrapped."""

from __future__ import annotations

import pytest

import programs
from planted import SECRET
from programs import Run, assert_first_token, dollars, strings


@pytest.fixture(scope="module")
def done() -> Run:
    return programs.run("llamaindex_calls", "integrations")


@pytest.mark.parametrize("name", ["chat", "complete", "async_chat"])
def test_a_call_arrives_with_everything_that_is_known(done: Run, name: str) -> None:
    call = done[name].call
    assert done[name].saw == f"The answer is {SECRET}."
    assert call.operation == ("completion" if name == "complete" else "chat")
    assert (call.model, call.requested_model, call.provider) == (
        "gpt-4o-mini-2024-07-18",
        "gpt-4o-mini",
        "openai",
    )
    assert (call.input_tokens, call.cached_tokens, call.output_tokens) == (412, 256, 37)
    assert (call.team, call.status, call.finish_reason) == ("search", "ok", "stop")
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


def test_a_closed_stream_is_no_failure(done: Run) -> None:
    call = done["stream_closed"].call
    assert done["stream_closed"].saw == 1
    assert (call.status, call.finish_reason, call.output_tokens) == ("ok", "cancelled", None)
    assert call.input_bytes, "what was sent is known by its length"
    assert call.output_bytes


@pytest.mark.parametrize("name", ["failure", "async_failure"])
def test_a_failure_has_its_class(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.status, call.error_type, done[name].saw) == ("error", "RateLimitError", "RateLimitError")


def test_a_query_has_its_search_embeddings_and_answer(done: Run) -> None:
    calls = done["query"].calls
    assert [call.operation for call in calls] == ["embedding", "embedding", "retrieval", "chat"]
    assert calls[2].retrieval is not None
    assert calls[2].retrieval.documents == done["query"].saw == 1
    assert [call.user for call in calls] == [None, "u-7", "u-7", "u-7"]
    assert len({call.trace_id for call in calls[1:]}) == 1


@pytest.mark.parametrize("name", ["once", "once_streamed", "once_failed", "async_once"])
def test_over_a_wrapped_client_a_call_counts_once_with_the_labels_of_the_handler(
    done: Run, name: str
) -> None:
    call = done[name].call
    assert (call.instrumentor, call.team) == ("llmvitals.openai", "search")


def test_no_text_leaves_unless_it_is_asked_for(done: Run) -> None:
    for name, scenario in done.scenarios.items():
        found = [text for text in strings(scenario.events) if SECRET in text]
        expected = [f"The answer is {SECRET}.", f"What is {SECRET}?"] * 2 if name == "texts" else []
        assert sorted(found) == sorted(expected), name
    assert SECRET not in done.log
    assert "llmvitals.integrations" not in done.log, "nothing went wrong that is only a warning"

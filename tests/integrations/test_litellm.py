"""LiteLLM's SDK with the logger."""

from __future__ import annotations

import pytest

import programs
from planted import SECRET
from programs import Run, assert_first_token, strings


@pytest.fixture(scope="module")
def done() -> Run:
    return programs.run("litellm_calls", "litellm")


@pytest.mark.parametrize("name", ["chat", "async_chat"])
def test_a_chat_arrives_once_with_everything_that_is_known(done: Run, name: str) -> None:
    call = done[name].call
    assert done[name].saw == f"The answer is {SECRET}."
    assert (call.operation, call.model, call.provider) == ("chat", "gpt-4o-mini", "openai")
    assert (call.team, call.user, call.session) == ("search", "u-7", "s-1")
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.reasoning_tokens) == (
        412,
        256,
        37,
        8,
    )
    assert (call.status, call.finish_reason, call.tags) == ("ok", "stop", None)
    assert call.latency_ms is not None
    assert call.latency_ms > 0
    assert call.cost_usd == pytest.approx(156 * 0.15e-6 + 256 * 0.075e-6 + 37 * 0.6e-6)


@pytest.mark.parametrize("name", ["stream", "stream_with_usage", "async_stream"])
def test_a_stream_has_its_first_token(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.stream, call.finish_reason) == (True, "stop")
    assert_first_token(call)
    assert (call.output_tokens == 37) == (name == "stream_with_usage"), "else LiteLLM counts by itself"


def test_other_providers_and_operations_are_read(done: Run) -> None:
    claude, embedding = done["claude"].call, done["embedding"].call
    assert (claude.model, claude.provider) == ("claude-sonnet-4-5", "anthropic")
    assert (claude.input_tokens, claude.cached_tokens, claude.cache_write_tokens) == (1_921, 1_800, 100)
    assert (embedding.operation, embedding.input_tokens) == ("embedding", 9)
    assert [tool.name for tool in done["tools"].call.tools or ()] == ["look_up"]


@pytest.mark.parametrize("name", ["failure", "async_failure"])
def test_a_failure_arrives_once_with_its_class(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.status, call.error_type, call.cost_usd) == ("error", done[name].saw, None)


def test_no_failed_attempt_hides_the_one_that_answered(done: Run) -> None:
    """Whether LiteLLM reports the attempts that failed depends on who tries again."""
    calls = done["retried"].calls
    assert [call.output_tokens for call in calls if call.status == "ok"] == [37]
    assert len({call.id for call in calls}) == len(calls)


def test_over_a_wrapped_client_a_call_counts_once(done: Run) -> None:
    assert done["once"].call.instrumentor == "llmvitals.openai"


@pytest.mark.parametrize("name", ["observed", "async_observed"])
def test_a_call_has_the_labels_of_what_is_around_it(done: Run, name: str) -> None:
    assert (done[name].call.app, done[name].call.parent_id is not None) == ("bot", True)


def test_no_text_leaves(done: Run) -> None:
    for name, scenario in done.scenarios.items():
        assert [text for text in strings(scenario.events) if SECRET in text] == [], name
    assert SECRET not in done.log
    assert "llmvitals.integrations" not in done.log, "nothing went wrong that is only a warning"

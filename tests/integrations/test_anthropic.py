"""Anthropic's client, wrapped."""

from __future__ import annotations

import pytest

import programs
from planted import SECRET
from programs import Run, assert_first_token, bounds, dollars, strings


@pytest.fixture(scope="module")
def done() -> Run:
    return programs.run("anthropic_calls", "integrations")


def test_a_message_arrives_with_all_of_its_input(done: Run) -> None:
    call = done["message"].call
    assert (call.model, call.requested_model) == ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5")
    assert (call.provider, call.team, call.user) == ("anthropic", "search", "u-7")
    # Anthropic says 21 input tokens, beside 1,800 from the cache and 100 into it.
    assert (call.input_tokens, call.cached_tokens, call.cache_write_tokens) == (1_921, 1_800, 100)
    assert (call.output_tokens, call.finish_reason, call.service_tier) == (12, "end_turn", "standard")
    assert dollars(call) == pytest.approx(21 * 3e-6 + 1_800 * 0.3e-6 + 100 * 3.75e-6 + 12 * 15e-6)


@pytest.mark.parametrize("name", ["message", "stream", "stream_helper", "failures"])
def test_the_application_sees_what_it_sees_without(done: Run, name: str) -> None:
    plain, wrapped = done[name].saw
    assert plain == wrapped


@pytest.mark.parametrize("name", ["stream", "stream_helper", "async_stream"])
def test_a_stream_has_its_usage_and_its_first_token(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.input_tokens, call.cached_tokens, call.output_tokens) == (1_921, 1_800, 12)
    assert (call.stream, call.finish_reason) == (True, "end_turn")
    assert_first_token(call)


def test_a_stream_that_is_not_read_to_its_end_has_its_input(done: Run) -> None:
    closed, cancelled = done["stream_closed"].call, done["async_cancelled"].call
    assert done["stream_closed"].saw == 1
    assert (closed.status, closed.finish_reason) == ("ok", "cancelled")
    assert (cancelled.status, cancelled.error_type) == ("error", "cancelled")
    read = 21 * 3e-6 + 1_800 * 0.3e-6 + 100 * 3.75e-6
    for call in (closed, cancelled):
        assert (call.input_tokens, call.output_tokens) == (1_921, None)
        assert call.output_bytes, "a part of the answer came"
        least, most = bounds(call) or (0.0, 0.0)
        # What came is no more than 12 tokens; the request allows 100.
        assert read <= least <= read + 12 * 15e-6
        assert most == pytest.approx(read + 100 * 15e-6)


def test_a_metered_message_has_no_lengths(done: Run) -> None:
    call = done["message"].call
    assert (call.input_bytes, call.output_bytes, call.max_output_tokens) == (None, None, None)


def test_tools_that_the_answer_asks_for_are_named(done: Run) -> None:
    assert [tool.name for tool in done["tools"].call.tools or ()] == ["look_up"]


def test_each_failure_counts_once_however_often_it_was_tried(done: Run) -> None:
    names = ["AuthenticationError", "RateLimitError", "InternalServerError"]
    assert [(call.status, call.error_type) for call in done["failures"].calls] == [
        ("error", name) for name in names
    ]


@pytest.mark.parametrize("name", ["raw", "copied", "async_message", "async_raw"])
def test_every_way_to_call_counts_once(done: Run, name: str) -> None:
    assert done[name].call.output_tokens == 12


def test_no_text_leaves_unless_it_is_asked_for(done: Run) -> None:
    for name, scenario in done.scenarios.items():
        found = [text for text in strings(scenario.events) if SECRET in text]
        expected = [f"The answer is {SECRET}.", f"What is {SECRET}?"] if name.startswith("texts") else []
        assert sorted(found) == expected, name
    assert SECRET not in done.log
    assert "llmvitals.integrations" not in done.log, "nothing went wrong that is only a warning"

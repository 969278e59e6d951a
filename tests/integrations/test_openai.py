"""OpenAI's client, wrapped: what arrives of each way to call it, and that the application sees no difference."""

from __future__ import annotations

import pytest

import programs
from planted import SECRET
from programs import Run, assert_first_token, bounds, dollars, strings

PROVIDED = "openai"


@pytest.fixture(scope="module", params=["integrations", "litellm"])
def done(request: pytest.FixtureRequest) -> Run:
    """With version 2 of the library, and with version 3, which LiteLLM brings."""
    return programs.run("openai_calls", request.param)


def test_a_chat_arrives_with_everything_that_is_known(done: Run) -> None:
    call = done["chat"].call
    assert (call.operation, call.model, call.requested_model) == (
        "chat",
        "gpt-4o-mini-2024-07-18",
        "gpt-4o-mini",
    )
    assert (call.provider, call.team, call.user) == (PROVIDED, "search", "u-7")
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.reasoning_tokens) == (
        412,
        256,
        37,
        8,
    )
    assert (call.status, call.finish_reason, call.stream, call.service_tier) == (
        "ok",
        "stop",
        False,
        "default",
    )
    assert call.latency_ms is not None
    assert (call.latency_ms > 0, call.ttft_ms, call.tools) == (True, None, None)
    # 156 plain and 256 cached input tokens at $0.15 and $0.075 a million, 37 output tokens at $0.60
    assert dollars(call) == pytest.approx(156 * 0.15e-6 + 256 * 0.075e-6 + 37 * 0.6e-6)


@pytest.mark.parametrize("name", ["chat", "stream", "stream_usage", "failures"])
def test_the_application_sees_what_it_sees_without(done: Run, name: str) -> None:
    plain, wrapped = done[name].saw
    assert plain == wrapped


def test_tools_that_the_answer_asks_for_are_named(done: Run) -> None:
    call = done["tools"].call
    assert [tool.name for tool in call.tools or ()] == ["look_up"]
    assert call.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("stream", None), ("stream_with_usage", 37), ("stream_usage", 37), ("stream_helper", None), ("raw_stream", None),
     ("response_stream", 37), ("async_stream", None)],
)  # fmt: skip
def test_a_stream_has_its_first_token_and_its_usage_only_if_it_tells_it(
    done: Run, name: str, tokens: int | None
) -> None:
    call = done[name].call
    assert (call.stream, call.output_tokens, call.status) == (True, tokens, "ok")
    assert_first_token(call)
    assert call.finish_reason == ("completed" if name == "response_stream" else "stop")
    assert (call.model, call.response_id is not None) == ("gpt-4o-mini-2024-07-18", True)


@pytest.mark.parametrize("name", ["stream", "stream_closed", "async_cancelled"])
def test_a_stream_without_usage_has_the_lengths_of_what_was_sent_and_came(done: Run, name: str) -> None:
    call = done[name].call
    assert call.input_bytes
    assert call.output_bytes
    assert bounds(call) is None, "without an output limit nothing bounds the cost"


def test_the_usage_of_a_stream_is_asked_for_only_on_request(done: Run) -> None:
    asked = [request.get("stream_options") for request in done.requests if request.get("stream")]
    assert asked.count({"include_usage": True}) == 2
    assert asked.count(None) == len(asked) - 2
    assert done["stream_with_usage"].saw == [False, False, False, False, False, True]


@pytest.mark.parametrize("name", ["stream_closed", "stream_dropped", "async_closed"])
def test_a_stream_that_is_not_read_to_its_end_is_no_failure(done: Run, name: str) -> None:
    call = done[name].call
    assert (call.status, call.error_type, call.finish_reason) == ("ok", None, "cancelled")
    assert (call.output_tokens, call.ttft_ms is not None) == (None, True)
    assert isinstance(call.ts, int)
    published, last_part, closed = done[name].saw
    assert (published, closed) == (1, True), "it is published when it is closed"
    assert call.ts <= last_part + 1, "it ended with its last part, to the millisecond"


def test_a_cancelled_task_is_one(done: Run) -> None:
    assert done["async_cancelled"].saw == "cancelled"
    call = done["async_cancelled"].call
    assert (call.status, call.error_type, call.output_tokens) == ("error", "cancelled", None)


def test_each_failure_counts_once_however_often_it_was_tried(done: Run) -> None:
    names = ["AuthenticationError", "RateLimitError", "InternalServerError"]
    calls = done["failures"].calls
    assert [(call.status, call.error_type) for call in calls] == [("error", name) for name in names]
    assert {(call.model, call.input_tokens) for call in calls} == {("gpt-4o-mini", None)}
    assert [text.partition(":")[0] for text in done["failures"].saw[1]] == names
    assert done["async_failure"].call.error_type == done["async_failure"].saw == "RateLimitError"


def test_an_answer_that_can_not_be_parsed_failed_and_was_paid(done: Run) -> None:
    call = done["parsed"].call
    assert (call.status, call.error_type, done["parsed"].saw) == (
        "error",
        "ValidationError",
        "ValidationError",
    )
    assert (call.input_tokens, call.output_tokens) == (412, 37)


def test_responses_and_embeddings_arrive(done: Run) -> None:
    response, embedding = done["response"].call, done["embedding"].call
    assert (response.operation, response.input_tokens, response.cached_tokens) == ("chat", 412, 256)
    assert (response.output_tokens, response.finish_reason) == (37, "completed")
    assert (embedding.operation, embedding.model, embedding.input_tokens) == (
        "embedding",
        "text-embedding-3-small",
        9,
    )
    assert done["embedding"].saw == [0.25] * 8
    assert (done["speech"].call.operation, done["speech"].call.model, done["speech"].saw) == (
        "audio",
        "tts-1",
        len(SECRET),
    )


@pytest.mark.parametrize("name", ["raw", "copied", "wrapped_twice", "async_chat", "async_raw"])
def test_every_way_to_call_counts_once(done: Run, name: str) -> None:
    assert done[name].call.output_tokens == 37


def test_an_answer_whose_bytes_the_application_reads_has_unknown_usage(done: Run) -> None:
    call = done["bytes_of_answer"].call
    assert (call.model, call.output_tokens, done["bytes_of_answer"].saw) == ("gpt-4o-mini", None, True)


def test_what_is_no_call_of_a_model_has_no_event(done: Run) -> None:
    assert (done["other_requests"].events, done["other_requests"].saw) == ([], "NotFoundError")


def test_calls_have_the_labels_and_the_trace_of_what_is_around_them(done: Run) -> None:
    chat, embedding = done["observed"].calls
    for call in (chat, embedding):
        assert (call.user, call.session, call.team, call.tags) == ("u-1", "s-1", "search", {"region": "eu"})
    assert chat.trace_id == embedding.trace_id
    assert chat.parent_id == embedding.parent_id is not None


def test_an_observed_call_around_a_wrapped_client_counts_once(done: Run) -> None:
    call = done["wrapper"].call
    assert (call.instrumentor, call.user, call.stream) == ("llmvitals.openai", "u-1", True)


def test_a_publisher_that_fails_is_a_warning_and_nothing_else(done: Run) -> None:
    assert done["broken_publisher"].saw == "stop"
    assert "llmvitals.integrations:a call can't be recorded: ValueError" in done.log


def test_no_text_leaves_unless_it_is_asked_for(done: Run) -> None:
    for name, scenario in done.scenarios.items():
        found = [text for text in strings(scenario.events) if SECRET in text]
        expected = [f"The answer is {SECRET}.", f"What is {SECRET}?"] if name.startswith("texts") else []
        assert sorted(found) == expected, name
    assert SECRET not in done.log
    assert done.log.count("llmvitals.integrations") == 1, "the broken publisher is the only warning"

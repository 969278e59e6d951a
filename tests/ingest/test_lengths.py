"""Of calls without usage the lengths of their texts are kept, and nothing of the texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.lengths import length
from llmvitals.record.call import Call, CallEvent
from planted import SECRET
from programs import bounds

TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
ASKED = {"role": "user", "content": f"Where is {SECRET}? \u00e4\u4e2d"}
"""4 and 13 and 13 bytes, and 2 and 3 of the last two characters."""
LETTERS = len("user") + len(f"Where is {SECRET}? ") + 2 + 3


def litellm(**changes: Any) -> Call:
    payload = {
        "litellm_call_id": "l-1", "call_type": "acompletion", "startTime": 1_795_503_371.2, "model": "gpt-4o",
        "endTime": 1_795_503_372.2, "custom_llm_provider": "openai", "status": "failure", "messages": [ASKED],
        "error_information": {"error_class": "Timeout"}, "prompt_tokens": 0, "completion_tokens": 0, "response": {},
    } | changes  # fmt: skip
    (call,) = decode(json.dumps(payload).encode()).calls
    return call


def span(attributes: dict[str, Any], *, scope: str = "made.up") -> Call:
    """The call of one span that was cancelled."""
    kinds = {str: "stringValue", int: "intValue", list: "arrayValue"}
    one = {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b7", "name": "chat",
        "startTimeUnixNano": "1795503371000000000", "endTimeUnixNano": "1795503372000000000", "status": {"code": 2},
        "attributes": [
            {"key": key, "value": {kinds[type(value)]: {"values": []} if isinstance(value, list) else value}}
            for key, value in ({"error.type": "CancelledError"} | attributes).items()
        ],
    }  # fmt: skip
    record = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [one]}]}]}
    (call,) = decode(json.dumps(record).encode()).calls
    return call


def lengths(call: Call) -> tuple[int | None, int | None, int | None]:
    """The lengths, after a look at all fields for the text."""
    assert SECRET not in "".join(repr(getattr(call, name)) for name in CallEvent.model_fields)
    return call.input_bytes, call.output_bytes, call.max_output_tokens


def test_litellm_tells_the_lengths_of_a_call_that_timed_out() -> None:
    assert lengths(litellm()) == (LETTERS, None, None)
    limited = litellm(model_parameters={"max_tokens": 300, "n": 2, "tools": TOOLS})
    size = len(json.dumps(TOOLS, separators=(",", ":")))
    assert lengths(limited) == (LETTERS + size, None, 600)
    model = {"model_map_information": {"model_map_value": {"max_output_tokens": 16_384}}}
    assert lengths(litellm(**model)) == (LETTERS, None, 16_384)
    assert lengths(litellm(**model, model_parameters={"max_tokens": 9})) == (LETTERS, None, 9)
    assert lengths(litellm(**model, model_parameters={"max_tokens": None})) == (LETTERS, None, 16_384)


def test_litellm_tells_what_came_of_the_answer() -> None:
    answer = {"message": {"role": "assistant", "content": f"At {SECRET}", "tool_calls": None}}
    call = litellm(status="success", response={"id": "r", "choices": [answer]})
    assert lengths(call) == (LETTERS, len("assistant") + len(f"At {SECRET}"), None)


def test_a_call_with_usage_has_no_lengths() -> None:
    assert lengths(litellm(status="success", prompt_tokens=9, completion_tokens=3)) == (None, None, None)


@pytest.mark.parametrize(
    "messages",
    [
        "redacted-by-litellm",
        [{"role": "user", "content": "redacted-by-litellm"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:{SECRET}"}}]}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": SECRET}}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"file_data": SECRET}}]}],
        [],
        None,
    ],
)
def test_hidden_texts_and_images_have_an_unknown_length(messages: Any) -> None:
    assert lengths(litellm(messages=messages))[0] is None


def test_spans_of_the_genai_conventions_tell_their_lengths() -> None:
    genai = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.max_tokens": 100,
    }
    parts = [{"role": "user", "parts": [{"type": "text", "content": f"hi {SECRET}"}]}]
    texts = {
        "gen_ai.input.messages": json.dumps(parts),
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief"}]),
        "gen_ai.tool.definitions": json.dumps(TOOLS),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "On"}]}]
        ),
    }
    size = len("user") + len(f"hi {SECRET}") + len("Be brief") + len(json.dumps(TOOLS))
    assert lengths(span(genai | texts)) == (size, len("assistant") + 2, 100)
    parts[0]["parts"] = [{"type": "blob", "modality": "image", "content": SECRET}]
    assert lengths(span(genai | {"gen_ai.input.messages": json.dumps(parts)}))[0] is None
    used = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 5}
    assert lengths(span(genai | texts | used)) == (None, None, None)


@pytest.mark.parametrize("known", ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"])
def test_a_span_with_one_count_of_two_tells_its_lengths(known: str) -> None:
    """A stream of Anthropic tells its input at the start, and its output at the end, which may not come."""
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": []}]),
        known: 50,
    }
    call = span(asked)
    assert lengths(call) == (len("user"), None, 100)
    assert bounds(call) is not None


def test_a_span_of_an_embedding_has_no_output_and_so_no_lengths() -> None:
    asked = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "text-embedding-3-small"}
    texts = {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": []}])}
    assert lengths(span(asked | texts | {"gen_ai.usage.input_tokens": 5})) == (None, None, None)
    assert lengths(span(asked | texts))[0] == len("user")


def test_spans_of_openllmetry_tell_their_lengths() -> None:
    older = {
        "llm.request.type": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": f"hi {SECRET}", "gen_ai.completion.0.content": "On my",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "stop",
        "llm.request.functions.0.name": "find",
    }  # fmt: skip
    assert lengths(span(older)) == (
        len("user") + len(f"hi {SECRET}") + len("find"),
        len("assistant") + 5,
        None,
    )


def test_spans_of_openinference_tell_their_lengths() -> None:
    known = {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": f"hi {SECRET}",
        "llm.invocation_parameters": json.dumps({"max_completion_tokens": 77}),
    }  # fmt: skip
    assert lengths(span(known)) == (len("user") + len(f"hi {SECRET}"), None, 77)
    picture = "llm.input_messages.0.message.contents.0.message_content.type"
    assert lengths(span(known | {picture: "image"}))[0] is None
    assert lengths(span(known | {picture: ["image"]}))[0] is None
    hidden = {"llm.input_messages.0.message.content": "__REDACTED__"}
    assert lengths(span(known | hidden))[0] is None


def test_what_a_model_reads_as_json_has_the_length_of_json() -> None:
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"arguments": {"a": 1}}}],
    }
    assert length([called]) == len("assistant") + len('{"a":1}')
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    assert length(deep) is None
    assert length({"role": "tool", "input": 2**70}) == len("tool") + len(str(2**70))

"""W&B Weave's calls: what is a call of a model, and what is only around one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call

BEGUN, ENDED = "2026-11-27T16:33:28.000Z", "2026-11-27T16:33:29.000Z"
USED = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
ANSWER = {"id": "chatcmpl-1", "model": "gpt-4o", "usage": USED, "choices": [{"finish_reason": "stop"}]}
LEAF = {"status_counts": {"success": 1, "error": 0}}
AROUND = {"status_counts": {"success": 2, "error": 0}}


def entry(name: str, number: int = 1, *, parent: int | None = None, **more: Any) -> dict[str, Any]:
    """A call of a model by this operation, that has ended."""
    return {
        "id": f"c{number}",
        "trace_id": "t",
        "parent_id": parent and f"c{parent}",
        "op_name": f"weave:///acme/p/op/{name}:abc",
        "started_at": BEGUN,
        "ended_at": ENDED,
        "attributes": {"weave": {"kind": "llm"}},
        "summary": LEAF,
    } | more


def calls(*entries: dict[str, Any], path: str = "/v2/acme/p/calls/complete") -> list[Call]:
    body = {"batch": [*entries]}
    return decode(json.dumps({"method": "POST", "path": path, "body": body}).encode()).calls


OPENAI = entry("openai.chat.completions.create", 1, parent=2, output=ANSWER, inputs={"model": "gpt-4o"})
LANGCHAIN = entry(
    "langchain.Llm.ChatOpenAI",
    2,
    summary=AROUND | {"usage": {"gpt-4o": USED | {"requests": 1}}},
    output={
        "outputs": {
            "generations": [[{"message": {"kwargs": {
                "response_metadata": {"id": "chatcmpl-1", "model_name": "gpt-4o", "finish_reason": "stop"},
                "usage_metadata": {"input_tokens": 10, "output_tokens": 2},
            }}}]]
        },
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o"}},
    },
)  # fmt: skip
SMOLAGENTS = entry(
    "smolagents.OpenAIServerModel", 2, output="hi", summary=AROUND | {"usage": {"gpt-4o": USED}}
)


@pytest.mark.parametrize("outer", [LANGCHAIN, SMOLAGENTS])
def test_of_a_call_within_a_call_the_inner_one_counts(outer: dict[str, Any]) -> None:
    (call,) = calls(outer, OPENAI)
    assert (call.id, call.provider, call.model) == ("c1", "openai", "gpt-4o")


def test_a_call_gets_what_only_the_one_around_it_tells() -> None:
    raw = entry("openai.chat.completions.create", 1, parent=2, output="<APIResponse [200 OK]>")
    (call,) = calls(LANGCHAIN, raw)
    assert (call.id, call.input_tokens, call.response_id) == ("c1", 10, "chatcmpl-1")


def test_a_call_around_a_call_of_another_request_is_known_by_what_it_repeats() -> None:
    assert calls(SMOLAGENTS) == []
    (inner,), (outer,) = calls(OPENAI), calls(LANGCHAIN)
    assert inner.response_id == outer.response_id  # and so the second is none
    assert inner.instrumentor != outer.instrumentor


def test_damaged_ids_are_no_endless_ring() -> None:
    ring = [OPENAI | {"parent_id": "c2"}, LANGCHAIN | {"parent_id": "c1"}]
    assert len(calls(*ring)) < 2


def test_a_framework_is_no_provider() -> None:
    (call,) = calls(LANGCHAIN | {"summary": LEAF})
    assert (call.provider, call.model, call.input_tokens) == ("openai", "gpt-4o", 10)
    (call,) = calls(entry("litellm.completion", inputs={"model": "anthropic/claude-haiku-4-5"}))
    assert (call.provider, call.model) == ("anthropic", "claude-haiku-4-5")
    (call,) = calls(entry("smolagents.VLLMModel", output="hi"))
    assert call.provider is None


def test_attributes_tell_who_asked() -> None:
    attributes = {"weave": {"kind": "llm"}, "user_id": "u-1", "session_id": "s-1"}
    (call,) = calls(OPENAI | {"attributes": attributes, "wb_user_id": None, "thread_id": None})
    assert (call.user, call.session) == ("u-1", "s-1")
    (call,) = calls(OPENAI | {"wb_user_id": "w-1", "thread_id": "t-1"})
    assert (call.user, call.session) == ("w-1", "t-1")


def test_moderations_are_no_chats() -> None:
    (call,) = calls(entry("openai.moderations.create", inputs={"model": "omni-moderation-latest"}))
    assert call.operation == "moderation"


def end(name: str, output: Any, summary: dict[str, Any]) -> dict[str, Any]:
    return {"mode": "end", "req": {"end": {
        "id": name, "project_id": "acme/p", "ended_at": ENDED, "output": output, "summary": summary,
    }}}  # fmt: skip


def test_the_end_of_a_call_counts_without_its_beginning() -> None:
    made = "019ac5e8-3ec0-7000-8000-000000000001"
    (call,) = calls(end(made, ANSWER, LEAF), path="/call/upsert_batch")
    assert (call.model, call.input_tokens, call.response_id) == ("gpt-4o", 10, "chatcmpl-1")
    assert calls(end("c", "hi", LEAF), path="/call/upsert_batch") == []
    assert calls(end("c", ANSWER, AROUND), path="/call/upsert_batch") == []


def test_the_id_of_a_call_tells_when_it_was_made() -> None:
    begun = 1_795_797_208_000
    digits = f"{begun:012x}"
    (call,) = calls(
        end(f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001", ANSWER, LEAF), path="/call/upsert_batch"
    )
    assert call.latency_ms == 1_000


def test_of_calls_that_damaged_ids_put_above_each_other_one_counts() -> None:
    ring = [
        entry(
            "openai.chat.completions.create", number, parent=3 - number, output=ANSWER | {"id": f"a{number}"}
        )
        for number in (1, 2)
    ]
    assert len(calls(*ring)) == 1

"""Reads requests that PromptLayer's SDK tracks (`/track-request`) and logs (`/log-request`)."""

from __future__ import annotations

import re
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, period, who
from llmvitals.ingest.values import dollars
from llmvitals.lenient import count, mapping, number, text
from llmvitals.usage import Usage, known


def read(request: Request) -> Found:
    """One call; its prompt's name is known where the SDK sends it."""
    found = Found()
    body = mapping(request.body)
    if "score" in body and "request_id" in body:
        name = text(body.get("score_name")) or text(body.get("name")) or "score"
        found.add(evaluation(name, number(body["score"]), identity=(text(body["request_id"]), name),
                             ts=request.arrived, target=body["request_id"]))  # fmt: skip
        return found
    answer, asked = mapping(body.get("request_response")), mapping(body.get("kwargs"))
    provider = text(body.get("provider_type") or body.get("provider"))
    failed = text(body.get("status")) == "ERROR"
    operation = "embedding" if "embed" in str(body.get("function_name")) else "chat"
    found.add(
        who(body.get("metadata")) | period(body.get("request_start_time"), body.get("request_end_time"))
        | _usage(body, answer, operation) | failure(failed, body.get("error_type"))
        | answers.fields_of(answer) | {
            "id": (_key(body, answer),),
            "operation": operation,
            "model": text(answer.get("model")) or text(asked.get("model")) or text(body.get("model")) or "",
            "requested_model": text(asked.get("model")) or text(body.get("model")),
            "provider": provider.partition(".")[0].lower() if provider else None,
            "prompt_name": text(body.get("prompt_name"), 256),
            "prompt_version": text(body.get("prompt_version_number") or body.get("prompt_version"), 256),
            "stream": asked.get("stream") if isinstance(asked.get("stream"), bool) else None,
        }
    )  # fmt: skip
    return found


def _usage(body: Any, answer: Any, operation: str) -> Usage | dict[str, Any]:
    tokens = known(
        {"input_tokens": count(body.get("input_tokens")), "output_tokens": count(body.get("output_tokens"))}
    )
    return (answers.usage_in(answer, operation) or tokens) | {"cost_usd": dollars(body.get("price"))}


def _key(body: Any, answer: Any) -> str:
    """A request has no id of its own: the answer's, else the span's with the time at which it began."""
    begun = body.get("request_start_time")
    return text(answer.get("id")) or f"{text(body.get('span_id')) or text(body.get('model')) or ''}-{begun}"


VENDOR: Final = Vendor(re.compile(r"/(track-request|log-request|rest/track-score|track-score)(/|\?|$)"), read)

"""Reads Helicone's webhook. Its bodies are JSON in texts, and it knows no time: the record's is taken."""

from __future__ import annotations

import re
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.rest.vendor import Found, Request, Vendor
from llmvitals.ingest.values import dollars, embeds, millis, structure
from llmvitals.lenient import count, mapping, number, text
from llmvitals.usage import known

_FAILED: Final = 400


def read(request: Request) -> Found:
    """One call."""
    body = mapping(request.body)
    asked, answer = (
        mapping(structure(body.get("request_body"))),
        mapping(structure(body.get("response_body"))),
    )
    metadata = mapping(body.get("metadata"))
    given = {
        "input_tokens": count(metadata.get("promptTokens")),
        "output_tokens": count(metadata.get("completionTokens")),
    }
    provider, status = text(body.get("provider")), count(metadata.get("status") or body.get("status"))
    failed = (status or 0) >= _FAILED or "error" in answer
    operation = "embedding" if embeds(text(asked.get("model"))) else "chat"
    found = Found()
    found.add(
        (answers.usage_in(answer, operation) or known(given)) | answers.fields_of(answer) | {
            "id": (text(body.get("request_id")),),
            "ts": request.arrived,
            "latency_ms": millis(number(metadata.get("latencyMs"))),
            "operation": operation,
            "model": text(answer.get("model")) or text(body.get("model")) or text(asked.get("model")) or "",
            "requested_model": text(asked.get("model")),
            "provider": provider.lower() if provider else None,
            "user": text(body.get("user_id")) or text(asked.get("user")),
            "cost_usd": dollars(metadata.get("cost")),
            **_status(failed, answer),
        }
    )  # fmt: skip
    return found


def _status(failed: bool, answer: Any) -> dict[str, str | None]:
    if not failed:
        return {"status": "ok"}
    error = mapping(answer.get("error"))
    return {"status": "error", "error_type": text(error.get("type") or error.get("code"), 256) or "error"}


VENDOR: Final = Vendor(re.compile(r"/helicone(/|$)"), read)

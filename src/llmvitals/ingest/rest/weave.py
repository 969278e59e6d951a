"""Reads calls and feedback of W&B Weave. Parents repeat the usage of their children: only models count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, joined, period, who
from llmvitals.ingest.values import micros, structure
from llmvitals.lenient import listed, mapping, number, text
from llmvitals.usage import usage_of

_MODELS: Final = (
    "openai.",
    "anthropic.",
    "google.",
    "mistralai.",
    "litellm.",
    "cohere.",
    "groq.",
    "bedrock.",
)
_OPERATION: Final = re.compile(r"/op/([^:]+)")


def read(request: Request) -> Found:
    """Calls of models and tools that have ended, and feedback."""
    found = Found()
    body = mapping(request.body)
    entries = [*map(mapping, listed(body.get("batch")) or [body])]
    if "/feedback" in request.path:
        for entry in entries:
            found.add(_feedback(entry, request.arrived))
        return found
    for entry in joined(map(_part, entries)):
        found.add(_call(entry))
    return found


def _part(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call, or the start or the end of one."""
    part = mapping(entry.get("req")) or entry
    return mapping(part.get("start")) or mapping(part.get("end")) or part


def _feedback(entry: Mapping[str, Any], arrived: int) -> dict[str, Any] | None:
    payload = mapping(entry.get("payload"))
    kind = text(entry.get("feedback_type")) or ""
    reaction = kind.startswith("wandb.reaction")
    name = (
        "reaction" if reaction else text(payload.get("name")) or kind.rpartition("wandb.runnable.")[2] or None
    )
    value = payload.get("value", payload.get("output"))
    target = text(entry.get("weave_ref"), 512) or ""
    return evaluation(
        name,
        value if isinstance(value, bool) else number(value),
        identity=(text(entry.get("id")) or target.rpartition("/")[2], name),
        ts=micros(entry.get("created_at")) or arrived,
        target=target.rpartition("/")[2] or None,
        annotator="human" if reaction else text(entry.get("creator")),
    )


def _call(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    times = period(entry.get("started_at"), entry.get("ended_at"))
    matched = _OPERATION.search(text(entry.get("op_name"), 512) or "")
    name = matched.group(1) if matched else text(entry.get("op_name")) or ""
    kind = mapping(mapping(entry.get("attributes")).get("weave")).get("kind")
    is_model = kind == "llm" or (kind is None and name.startswith(_MODELS))
    if not times or not (is_model or kind == "tool"):
        return None
    fields = who(mapping(entry.get("attributes"))) | times | _failure(entry.get("exception")) | {
        "id": (text(entry.get("id")),),
        "trace_id": text(entry.get("trace_id")),
        "app": (text(entry.get("project_id")) or "").rpartition("/")[2] or None,
        "user": text(entry.get("wb_user_id")),
        "session": text(entry.get("thread_id")),
    }  # fmt: skip
    if kind == "tool":
        return fields | {"operation": "tool", "tools": [{"name": name[:128] or "tool"}]}
    output, usages = mapping(entry.get("output")), mapping(mapping(entry.get("summary")).get("usage"))
    asked = text(mapping(entry.get("inputs")).get("model"))
    model = text(output.get("model")) or next(map(str, usages), None) or asked or ""
    operation = "embedding" if "embed" in name else "rerank" if "rerank" in name else "chat"
    usage = answers.usage_in(output, operation) or usage_of(next(iter(usages.values()), None), operation)
    return fields | answers.fields_of(output) | usage | {
        "operation": operation,
        "model": model[:128],
        "requested_model": asked,
        "provider": name.partition(".")[0] if "." in name else None,
    }  # fmt: skip


def _failure(exception: Any) -> dict[str, Any]:
    """The status of a call; its exception is JSON in a text, with the class as its type."""
    return failure(exception, mapping(structure(exception)).get("type"))


VENDOR: Final = Vendor(
    re.compile(
        r"/(calls?/(complete|upsert_batch|start|end)|call/(start|end)|feedback(/batch)?/create)/?(\?.*)?$"
    ),
    read,
)

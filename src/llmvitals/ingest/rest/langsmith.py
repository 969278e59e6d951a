"""Reads runs and feedback of LangSmith. A run comes twice: it counts when it has ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.events import document_scores
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, joined, period, who
from llmvitals.ingest.values import micros
from llmvitals.lenient import listed, mapping, number, text
from llmvitals.litellm_calls import operation_of
from llmvitals.usage import usage_of

_MODELS: Final = {"llm": "chat", "embedding": "embedding"}
_TOLD_BY: Final = {"ls_model_name": "llm", "ls_model_type": "llm", "ls_retriever_name": "retriever"}
"""Metadata that only runs of a type have → the type."""


def read(request: Request) -> Found:
    """Runs of the types llm, embedding, retriever and tool, and feedback."""
    found = Found()
    if "/feedback" in request.path:
        for entry in _entries(request.body):
            found.add(_feedback(entry, request.arrived))
        return found
    for run in _runs(request.body):
        found.add(_run(run))
    for entry in map(mapping, listed(mapping(request.body).get("feedback"))):  # the gateway puts it there
        found.add(_feedback(entry, request.arrived))
    return found


def _entries(body: Any) -> Iterable[Mapping[str, Any]]:
    return map(mapping, body if isinstance(body, list) else [body])


def _runs(body: Any) -> Iterable[Mapping[str, Any]]:
    batch = mapping(body)
    if "post" not in batch and "patch" not in batch:
        return _entries(body)
    # Both halves of a run may be in one batch. A patch has empty objects for what it does not change.
    halves = map(mapping, (*listed(batch.get("post")), *listed(batch.get("patch"))))
    return joined({name: value for name, value in half.items() if value not in ({}, [])} for half in halves)


def _feedback(entry: Mapping[str, Any], arrived: int) -> dict[str, Any] | None:
    value = entry.get("score")
    return evaluation(
        entry.get("key"),
        value if isinstance(value, bool) else number(value),
        identity=(text(entry.get("id")) or text(entry.get("run_id")), text(entry.get("key"))),
        ts=micros(entry.get("created_at")) or arrived,
        target=entry.get("run_id") or entry.get("trace_id"),
        annotator=mapping(entry.get("feedback_source")).get("type"),
    )


def _kind(run: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    """The type of a run. Clients before 0.5 do not repeat it at the end of a run: then its metadata tell."""
    told = run.get("run_type")
    if told is None:
        return next((kind for name, kind in _TOLD_BY.items() if metadata.get(name)), None)
    return told


def _start(run: Mapping[str, Any]) -> Any:
    """When a run began. Clients before 0.5 repeat it only in `dotted_order`, as 20261124T082403159197Z."""
    last = str(run.get("dotted_order")).rpartition(".")[2]
    return run.get("start_time") or f"{last[:15]}.{last[15:22]}"


def _run(run: Mapping[str, Any]) -> dict[str, Any] | None:
    metadata = mapping(mapping(run.get("extra")).get("metadata"))
    kind, times = _kind(run, metadata), period(_start(run), run.get("end_time"))
    if not times or kind not in (*_MODELS, "retriever", "tool"):
        return None
    outputs = mapping(run.get("outputs"))
    fields = who(metadata) | times | failure(run.get("error")) | {
        "id": (text(run.get("id")),),
        "trace_id": text(run.get("trace_id")),
        "app": text(run.get("session_name")),
    }  # fmt: skip
    if kind == "tool":
        return fields | {"operation": "tool", "tools": [{"name": text(run.get("name")) or "tool"}]}
    if kind == "retriever":
        documents = listed(outputs.get("documents")) or listed(outputs.get("output"))
        scores = document_scores(documents)
        result: dict[str, Any] = {"documents": len(documents)} | (
            {"top_score": max(scores)} if scores else {}
        )
        return fields | {"operation": "retrieval", "retrieval": result}
    asked = mapping(run.get("inputs"))
    # LiteLLM has one type for all of its calls, and its payload for the inputs.
    operation = operation_of(asked["call_type"]) if "litellm_call_id" in asked else _MODELS[str(kind)]
    told = (usage_of(place.get("usage_metadata"), operation) for place in (metadata, outputs))
    usage = answers.detailed_usage(outputs, next(filter(None, told), {})) or answers.usage_in(
        outputs, operation
    )
    return fields | usage | answers.fields_of(outputs) | {
        "operation": operation,
        "model": answers.model_of(outputs) or text(metadata.get("ls_model_name")) or "",
        "requested_model": text(metadata.get("ls_model_name")),
        "provider": text(metadata.get("ls_provider") or asked.get("custom_llm_provider")),
        "prompt_name": text(metadata.get("lc_hub_repo"), 256),
        "prompt_version": text(metadata.get("lc_hub_commit_hash"), 256),
    }  # fmt: skip


VENDOR: Final = Vendor(
    re.compile(r"/(runs(/batch|/multipart|/[0-9a-f-]{36})?|feedback(/batch)?)/?(\?.*)?$"), read
)

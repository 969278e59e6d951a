"""Reads calls and feedback of W&B Weave. Parents repeat the usage of their children: only models count.

A call of a model inside of one that a framework reports is the one that counts. The two may come in different
requests: then the id of the answer, or how many calls are inside, tells that the outer one is only around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.ancestors import Ancestors
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, joined, period, who
from llmvitals.ingest.values import micros, structure
from llmvitals.lenient import bare_model, count, listed, mapping, number, text
from llmvitals.usage import usage_of

Json = Mapping[str, Any]
_Name = str | int
"""The id of a call, or its place where it has none."""
_PROVIDERS: Final = (
    "openai", "anthropic", "google", "mistral", "mistralai", "cohere", "groq", "bedrock", "cerebras",
    "huggingface_hub", "vertexai",
)  # fmt: skip
"""What the names of their libraries' calls begin with."""
_MODELS: Final = (*(f"{name}." for name in _PROVIDERS), "litellm.")
_OPERATION: Final = re.compile(r"/op/([^:]+)")
_OPERATIONS: Final = {"embed": "embedding", "rerank": "rerank", "moderation": "moderation", "image": "image"}
"""Part of a call's name → operation; others are chats."""
_MADE: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7")
"""The id of a call that begins with the time at which it was made."""


def read(request: Request) -> Found:
    """Calls of models and tools that have ended, and feedback."""
    found = Found()
    body = mapping(request.body)
    entries = [*map(mapping, listed(body.get("batch")) or [body])]
    if "/feedback" in request.path:
        for entry in entries:
            found.add(_feedback(entry, request.arrived))
        return found
    calls = [*joined(map(_part, entries))]
    names = [text(call.get("id")) or place for place, call in enumerate(calls)]
    events = dict(zip(names, map(_call, calls), strict=True))
    around = _wrappers(
        events, {name: text(call.get("parent_id")) for name, call in zip(names, calls, strict=True)}
    )
    for name, fields in events.items():
        found.add(None if name in around else fields)
    return found


def _wrappers(
    events: Mapping[_Name, dict[str, Any] | None], parents: Mapping[_Name, _Name | None]
) -> set[_Name]:
    """The model calls around others, which get what only the outer one tells; all by their names."""
    models = {name: fields for name, fields in events.items() if fields and fields["operation"] != "tool"}
    inner: dict[_Name, list[dict[str, Any]]] = {}
    for name, outer in Ancestors(parents).nearest(models, models).items():
        if outer is not None:
            inner.setdefault(outer, []).append(models[name])
    for name, inside in inner.items():
        if len(inside) == 1:
            known = {field: value for field, value in inside[0].items() if value not in (None, "")}
            inside[0].update({**models[name], **known})
    return {*inner}


def _part(entry: Json) -> Json:
    """A call, or the start or the end of one."""
    part = mapping(entry.get("req")) or entry
    return mapping(part.get("start")) or mapping(part.get("end")) or part


def _feedback(entry: Json, arrived: int) -> dict[str, Any] | None:
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


def _call(entry: Json) -> dict[str, Any] | None:
    times = period(entry.get("started_at") or _made(entry.get("id")), entry.get("ended_at"))
    matched = _OPERATION.search(text(entry.get("op_name"), 512) or "")
    name = matched.group(1) if matched else text(entry.get("op_name")) or ""
    attributes, output = mapping(entry.get("attributes")), mapping(entry.get("output"))
    kind = mapping(attributes.get("weave")).get("kind")
    if not times or not (kind in ("llm", "tool") or name.startswith(_MODELS) or _is_end_of_model(entry)):
        return None
    asked_by = {who_: value for who_, value in who(attributes).items() if value is not None}
    fields = times | _failure(entry.get("exception")) | {
        "id": (text(entry.get("id")),),
        "trace_id": text(entry.get("trace_id")),
        "app": (text(entry.get("project_id")) or "").rpartition("/")[2] or None,
        "user": text(entry.get("wb_user_id")),
        "session": text(entry.get("thread_id")),
    } | asked_by  # fmt: skip
    if kind == "tool":
        return fields | {"operation": "tool", "tools": [{"name": name[:128] or "tool"}]}
    answer = mapping(output.get("outputs")) or mapping(output.get("raw")) or output
    operation = next((known for part, known in _OPERATIONS.items() if part in name), "chat")
    told = answers.detailed_usage(answer, {}) or answers.usage_in(answer, operation)
    usages = mapping(mapping(entry.get("summary")).get("usage"))
    if not told and _has_inner_calls(entry):
        return None
    return fields | _model(entry, name, answer) | answers.fields_of(answer) | {
        "operation": operation,
        # Of the same library, a second call with the id of an answer is another one.
        "instrumentor": "weave." + name.partition(".")[0],
    } | (told or usage_of(next(iter(usages.values()), None), operation))  # fmt: skip


def _model(entry: Json, name: str, answer: Json) -> dict[str, str | None]:
    """The model that answered, and who provides it."""
    of_langchain = mapping(mapping(mapping(entry.get("output")).get("extra")).get("metadata"))
    asked = text(mapping(entry.get("inputs")).get("model")) or text(of_langchain.get("ls_model_name"))
    library = name.partition(".")[0]
    provider = library if library in _PROVIDERS else text(of_langchain.get("ls_provider"))
    if provider is None and asked and "/" in asked:  # as LiteLLM names models
        provider = asked.partition("/")[0]
    usages = mapping(mapping(entry.get("summary")).get("usage"))
    model = answers.model_of(answer) or next(map(str, usages), None) or bare_model(asked, provider) or ""
    return {"model": model[:128], "requested_model": asked, "provider": provider}


def _is_end_of_model(entry: Json) -> bool:
    """Whether this is the end of a call, which early clients send alone, and has the answer of a model."""
    return "op_name" not in entry and not _has_inner_calls(entry) and bool(
        answers.usage_in(mapping(entry.get("output")))
    )  # fmt: skip


def _has_inner_calls(entry: Json) -> bool:
    """Whether others are inside of a call: Weave counts them with it by their ends."""
    ends: Iterable[Any] = mapping(mapping(entry.get("summary")).get("status_counts")).values()
    return sum(count(ended) or 0 for ended in ends) > 1


def _made(name: Any) -> float | None:
    """When a call was made (ms), by its id."""
    found = _MADE.match(name) if isinstance(name, str) else None
    return int(found.group(1) + found.group(2), 16) if found else None


def _failure(exception: Any) -> dict[str, Any]:
    """The status of a call; its exception is JSON in a text, with the class as its type."""
    return failure(exception, mapping(structure(exception)).get("type"))


VENDOR: Final = Vendor(
    re.compile(
        r"/(calls?/(complete|upsert_batch|start|end)|call/(start|end)|feedback(/batch)?/create)/?(\?.*)?$"
    ),
    read,
)

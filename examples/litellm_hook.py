"""A LiteLLM proxy that sends its calls to llmvitals, and obeys the verdicts that come back.

Calls over budget are refused, those near it get a warning. It needs llmvitals-client and google-re2 beside
LiteLLM: put this file beside the proxy's config.yaml,

    litellm_settings:
      callbacks: litellm_hook.hook

and set LLMVITALS_BROKERS. What it does, and all its settings, stands in docs/verdicts.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from contextlib import suppress
from typing import Any, Literal

import re2
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

from llmvitals import Publisher
from llmvitals.litellm_calls import lengths_of

log = logging.getLogger("llmvitals")

UNKNOWN = "unknown"
"""What llmvitals calls a dimension that a call does not have."""
WARNING = "llmvitals_warning"
"""The key in a call's metadata."""
LOOK = 5.0
"""Seconds between two questions to Kafka whether it is still there."""
STRENGTH = {"allow": 0, "warn": 1, "block": 2}
TEXTS = ("messages", "response")
"""What of a logged call holds what people and models have written."""
PUBLISHED: dict[str, Any] = {
    **dict.fromkeys(
        (
            "litellm_call_id", "id", "call_type", "trace_id", "session_id", "status", "stream", "cache_hit",
            "custom_llm_provider", "model", "model_group", "startTime", "endTime", "completionStartTime",
            "prompt_tokens", "completion_tokens", "total_tokens", "response_cost", "request_tags", "end_user",
        )
    ),
    "metadata": {
        "usage_object": None, "user_api_key_team_alias": None, "user_api_key_alias": None,
        "user_api_key_hash": None, "user_api_key_user_id": None,
        "prompt_management_metadata": {"prompt_id": None, "prompt_version": None},
    },
    "response": {
        "id": None, "model": None, "service_tier": None,
        "choices": {"finish_reason": None, "message": {"tool_calls": {"function": {"name": None}}}},
        "output": {"type": None, "name": None},
        "meta": {"billed_units": None},
    },
    "response_cost_failure_debug_info": {"error_str": None},
    "error_information": {"error_class": None},
    "guardrail_information": {
        "guardrail_name": None, "guardrail_mode": None, "guardrail_status": None,
        "guardrail_response": {"flagged": None},
    },
    "hidden_params": {"litellm_model_name": None},
    "text_lengths": None,
}  # fmt: skip
"""What llmvitals reads of a logged call, texts aside; None: the whole value. The rest stays here: it is
large, and errors, headers, tools and searches may quote a prompt."""

Verdict = dict[str, Any]
"""A record of the topic; see llmvitals' record/verdict.py."""


class Table:
    """All verdicts that hold, found by what a call is."""

    def __init__(self) -> None:
        self._by_names: dict[tuple[str, ...], dict[tuple[str, ...], dict[bytes, Verdict]]] = {}
        self._places: dict[bytes, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def put(self, key: bytes, value: bytes | None) -> None:
        """A record of the topic, in place of what its key said before; None: nothing is said now."""
        if (place := self._places.pop(key, None)) is not None:
            names, values = place
            del self._by_names[names][values][key]
        if value is None:
            return
        verdict = json.loads(value)
        series = sorted(verdict["series"].items())
        names, values = tuple(name for name, _ in series), tuple(value for _, value in series)
        self._by_names.setdefault(names, {}).setdefault(values, {})[key] = verdict
        self._places[key] = names, values

    def find(self, call: dict[str, str], now: float) -> Verdict | None:
        """The strongest verdict on a call; None: it may go through. now: seconds since 1970."""
        found = None
        for names, series in self._by_names.items():  # as many as budgets have different `by`
            for verdict in series.get(tuple(call.get(name, "") for name in names), {}).values():
                until = verdict.get("until")
                # A verdict ends by itself, even if the worker that should say so is late.
                if until is not None and until <= now * 1_000_000:
                    continue
                if STRENGTH[verdict["verdict"]] <= STRENGTH[found["verdict"] if found else "allow"]:
                    continue
                if all(holds(clause, call) for clause in verdict.get("where", ())):
                    found = verdict
        return found


def holds(clause: dict[str, Any], call: dict[str, str]) -> bool:
    """Whether a call is what a clause of a budget's `where` wants."""
    value = call.get(clause["dimension"], UNKNOWN)
    values, regex = clause.get("values"), clause.get("regex")
    wanted = (not values or value in values) and (regex is None or matches(regex, value))
    return bool(wanted != clause.get("negate", False))


def matches(regex: str, value: str) -> bool:
    """Whether it matches the whole value, by RE2, in which none can take long; a wrong one does not."""
    try:
        return re2.fullmatch(regex, value) is not None
    except re2.error:
        return False


def dimensions(key: Any, data: dict[str, Any]) -> dict[str, str]:
    """A call, before it is made, by llmvitals' dimensions; the same mapping as of LiteLLM's log payloads.

    key: LiteLLM's UserAPIKeyAuth. data: the request. Which deployment will answer is not yet known: `model`
    is what was asked for, and there is no `provider`.
    """
    metadata = data.get("litellm_metadata") or data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    tags = metadata.get("tags")
    texts = map(str, tags if isinstance(tags, list) else ())
    tags = dict(text.partition(":")[::2] for text in texts if ":" in text)
    found = {
        "team": key.team_alias or tags.get("team"),
        "user": key.end_user_id or data.get("user") or key.user_id,
        "key": key.key_alias or key.api_key or key.token,
        "session": data.get("litellm_session_id")
        or metadata.get("session_id")
        or data.get("litellm_trace_id"),
        "model": data.get("model"),
        "requested_model": data.get("model"),
        "prompt_name": data.get("prompt_id"),
        "prompt_version": data.get("prompt_version"),
        **{name: tags.get(name) for name in ("app", "environment", "tenant", "agent")},
        **{f"tags.{name}": value for name, value in tags.items()},
    }
    return {name: str(value).strip()[:128] if value else UNKNOWN for name, value in found.items()}


def notes(data: dict[str, Any]) -> dict[str, Any]:
    """Where LiteLLM keeps what it knows of a call.

    Where that is `litellm_metadata` (Anthropic's messages, OpenAI's responses), `metadata` goes to the
    provider, who may refuse what he does not know.
    """
    for name in ("litellm_metadata", "metadata"):
        if isinstance(data.get(name), dict):
            found: dict[str, Any] = data[name]
            return found
    fresh: dict[str, Any] = {}
    if data.get("metadata") is None:
        data["metadata"] = fresh
    return fresh


def part(value: Any, wanted: dict[str, Any] | None) -> Any:
    """The wanted fields of an object, or of each object in a list; None in place of what is no object."""
    if wanted is None:
        return value
    if isinstance(value, list):
        return [part(item, wanted) for item in value]
    if not isinstance(value, dict):
        return None
    return {name: part(value[name], inner) for name, inner in wanted.items() if name in value}


class Refused(HTTPException):
    """What a caller gets in place of an answer. No model was called, so it is not published."""


class Hook(CustomLogger):
    """The callback.

    brokers, topic: where the verdicts are. silence: what to do after `patience` seconds without Kafka, and
    before the first verdicts are read: "open" lets every call through, "keep" goes on with what was known
    last, "closed" refuses every call. publisher: sends the calls to Kafka; None: they are not sent. texts:
    whether with messages and answers, for scorers. kafka: more arguments for AIOKafkaConsumer
    (security_protocol, …).
    """

    def __init__(
        self,
        brokers: str,
        topic: str = "llm.verdicts.v1",
        *,
        silence: Literal["open", "keep", "closed"] = "open",
        patience: float = 60.0,
        publisher: Publisher | None = None,
        texts: bool = False,
        **kafka: Any,
    ) -> None:
        super().__init__()
        self._publisher, self._texts = publisher, texts
        self._topic, self._silence, self._patience = topic, silence, patience
        self._kafka = {"bootstrap_servers": brokers, "client_id": "llmvitals-gateway", **kafka}
        self._table = Table()
        self._heard = float("-inf")
        self._following: asyncio.Task[None] | None = None
        with suppress(RuntimeError):  # where no loop runs yet, the first call starts it
            self._start()

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Called by LiteLLM before each call; raises Refused."""
        self._start()
        silent = time.monotonic() - self._heard > self._patience
        if silent and self._silence == "closed":
            raise Refused(503, {"error": "llmvitals: budgets can't be checked at present"})
        if silent and self._silence == "open":
            return data
        verdict = self._table.find(dimensions(user_api_key_dict, data), time.time())
        if verdict is None:
            return data
        if verdict["verdict"] == "block":
            raise refusal(verdict)
        notes(data)[WARNING] = verdict["reason"]
        return data

    async def async_post_call_response_headers_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any, **_: Any
    ) -> dict[str, str] | None:
        """Called by LiteLLM with each answer: the warning becomes a header."""
        warning = notes(data).get(WARNING)
        return {"x-llmvitals-warning": plain(warning)} if warning else None

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Called by LiteLLM after each call, when the caller has the answer."""
        self._publish(kwargs)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Called by LiteLLM after each attempt that failed."""
        self._publish(kwargs)

    def _publish(self, kwargs: dict[str, Any]) -> None:
        """Queue the call for Kafka. The publisher waits for nothing, and counts and logs what it drops."""
        payload = kwargs.get("standard_logging_object")
        if self._publisher is None or payload is None or isinstance(kwargs.get("exception"), Refused):
            return
        texts = {name: payload.get(name) for name in TEXTS if self._texts}
        if not (payload.get("prompt_tokens") and payload.get("completion_tokens")):
            payload = {**payload, "text_lengths": lengths_of(payload)}
        self._publisher.publish(part(payload, PUBLISHED) | texts)

    def _start(self) -> None:
        if self._following is None or self._following.done():
            self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        """Keep the table as the topic is, whatever happens to Kafka."""
        while True:
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 - the gateway goes on without Kafka
                log.warning(
                    "The verdicts of llmvitals can't be read: %s. Trying again.", type(error).__name__
                )
            await asyncio.sleep(LOOK / 2)

    async def _read(self) -> None:
        """Read the topic from its beginning, and then on and on."""
        consumer = AIOKafkaConsumer(**self._kafka, enable_auto_commit=False, auto_offset_reset="earliest")
        try:
            await asyncio.wait_for(consumer.start(), LOOK * 2)
            place = TopicPartition(self._topic, 0)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            table, end = Table(), (await asyncio.wait_for(consumer.end_offsets([place]), LOOK))[place]
            asked = time.monotonic()
            while True:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        take(table, record)
                if await consumer.position(place) >= end:
                    self._table = table  # not before it is whole
                if time.monotonic() - asked > LOOK or self._heard < 0:
                    await asyncio.wait_for(consumer.end_offsets([place]), LOOK)
                    asked = time.monotonic()
                    self._heard = asked if self._table is table else self._heard
        finally:
            await asyncio.wait_for(consumer.stop(), LOOK)


def take(table: Table, record: Any) -> None:
    """Put a record of the topic into the table; one that is no verdict is left out."""
    try:
        table.put(record.key, record.value)
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("Offset %d of the verdicts is none", record.offset)


def refusal(verdict: Verdict) -> Refused:
    """What a caller gets who is over budget: 429, when to come again, and a sentence."""
    until = verdict.get("until")
    told = f"Refused by the budget {verdict['rule']}: {verdict['reason']}."
    headers = {"x-should-retry": "false"}  # OpenAI's clients would try a 429 again at once
    if until is not None:
        told += (
            f" Calls are possible again at {time.strftime('%Y-%m-%d %H:%M', time.gmtime(until / 1e6))} UTC."
        )
        headers["retry-after"] = str(max(1, round(until / 1e6 - time.time())))
    return Refused(429, {"error": told}, headers)


def plain(text: str) -> str:
    """Text that fits into an HTTP header."""
    return re.sub(r"[^ -~]", " ", text)[:500]


_LOGIN = {
    name: os.environ[variable]
    for name, variable in {
        "security_protocol": "LLMVITALS_SECURITY_PROTOCOL",
        "sasl_mechanism": "LLMVITALS_SASL_MECHANISM",
        "sasl_plain_username": "LLMVITALS_SASL_USERNAME",
        "sasl_plain_password": "LLMVITALS_SASL_PASSWORD",
    }.items()
    if variable in os.environ
}
if _LOGIN.get("security_protocol", "").endswith("SSL"):
    from aiokafka.helpers import create_ssl_context

    _LOGIN["ssl_context"] = create_ssl_context(cafile=os.environ.get("LLMVITALS_SSL_CAFILE"))

_PUBLISH = os.environ.get("LLMVITALS_GATEWAY_PUBLISH", "calls")
if _PUBLISH not in {"calls", "texts", "off"}:
    raise ValueError(f"LLMVITALS_GATEWAY_PUBLISH is {_PUBLISH!r}: write calls, texts or off")

hook = Hook(
    os.environ.get("LLMVITALS_BROKERS", "localhost:9092"),
    f"{os.environ.get('LLMVITALS_TOPIC_PREFIX', 'llm')}.verdicts.v1",
    silence=os.environ.get("LLMVITALS_GATEWAY_SILENCE", "open"),  # type: ignore[arg-type]
    patience=float(os.environ.get("LLMVITALS_GATEWAY_PATIENCE", "60")),
    # LiteLLM's payloads are no native calls, so they are not validated.
    publisher=None if _PUBLISH == "off" else Publisher(validate=False),
    texts=_PUBLISH == "texts",
    **_LOGIN,
)

"""The event of an LLM call on `llm.calls.v1`, and the `Call` that the stages work on.

`CallEvent` declares the fields once. `Call` is derived from it for msgspec, whose decoder is ten times
faster. Both accept and refuse the same events.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from datetime import UTC, datetime
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import from_json

MODEL_OPERATIONS: Final = frozenset(
    ("chat", "completion", "embedding", "rerank", "image", "audio", "moderation")
)
"""Operations that a model answers. Only these have a price."""
BLOCKED: Final = "blocked_by_guardrail"
"""The finish reason of a request that a guardrail stopped before a model answered."""
MAX_VECTOR: Final = 4_096

EARLIEST: Final = 1_420_070_400_000_000
"""The beginning of 2015 (µs): an older time is most likely in seconds instead of milliseconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, the last that a datetime can hold."""


def _moment(value: object) -> object:
    # msgspec parses RFC 3339 for both decoders, so that they agree about leap seconds and commas.
    return msgspec.convert(value, Annotated[datetime, msgspec.Meta(tz=True)]) if type(value) is str else value


Id = Annotated[str, Field(min_length=1, max_length=128)]
Name = Annotated[str, Field(max_length=128)]
Text = Annotated[str, Field(max_length=256)]
Count = Annotated[int, Field(ge=0, le=100_000_000)]
Millis = Annotated[float, Field(ge=0, le=86_400_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[datetime, BeforeValidator(_moment), annotated_types.Timezone(...)]
EpochMillis = Annotated[int, Field(ge=-_LAST_MS, le=_LAST_MS)]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class Guardrail(_Event):
    """The verdict of one guardrail."""

    name: Name
    verdict: Literal["pass", "flag", "fix", "block"]
    score: float | None = None


class Retrieval(_Event):
    """The result of a search. documents 0: it found nothing."""

    documents: Count
    top_score: float | None = None
    latency_ms: Millis | None = None
    source: Name | None = None


class Tool(_Event):
    """A tool that the answer requests."""

    name: Name
    arguments_hash: Name | None = None


class Embedding(_Event):
    """A vector and the model that made it: numbers, or base64 of little-endian float32."""

    model: Name
    vector: Annotated[list[float], Field(min_length=1, max_length=MAX_VECTOR)] | str

    def check(self) -> None:
        """Raise ValueError unless a base64 vector holds 1 to 4,096 finite numbers."""
        if isinstance(self.vector, str):
            _bytes(self.vector)

    @model_validator(mode="after")
    def _checked(self) -> Embedding:
        self.check()
        return self


class CallEvent(_Event):
    """One LLM call. Unknown fields are ignored. A missing number is unknown, which is not 0."""

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    id: Id = Field(description="Unique; a second call of this id is dropped.")
    ts: Moment | EpochMillis = Field(
        description="When the call ended: RFC 3339 with offset, or milliseconds since 1970."
    )
    operation: Literal[
        "chat", "completion", "embedding", "rerank", "image", "audio", "moderation",
        "retrieval", "tool", "guardrail", "evaluation", "agent", "outcome",
    ] = "chat"  # fmt: skip
    model: Name = Field(description='The model that answered; "" where none did, such as of an outcome.')
    requested_model: Name | None = None
    provider: Name | None = Field(None, description="May be left out where the model tells it.")
    environment: Name | None = None
    app: Name | None = None
    team: Name | None = None
    tenant: Name | None = None
    user: Name | None = None
    session: Name | None = None
    key: Name | None = Field(None, description="An API key's alias or hash, never the key.")
    agent: Name | None = None
    prompt_name: Text | None = None
    prompt_version: Text | None = None
    trace_id: Text | None = None
    span_id: Text | None = None
    parent_id: Text | None = None
    response_id: Annotated[str, Field(max_length=512)] | None = Field(
        None,
        description="The provider's id of the answer. Of two calls with one, at one time and from two "
        "instrumentors, the second is dropped.",
    )
    instrumentor: Name | None = Field(None, description="Who reports the call, such as a scope's name.")
    tags: Annotated[dict[Name, Text], Field(max_length=16)] | None = Field(
        None, description="Further dimensions."
    )
    input_tokens: Count | None = Field(None, description="All input, cached and cache-written included.")
    cached_tokens: Count | None = Field(None, description="Read from the provider's cache; part of input.")
    cache_write_tokens: Count | None = Field(None, description="Written to the cache; part of input.")
    cache_write_1h_tokens: Count | None = Field(None, description="For an hour; part of cache_write_tokens.")
    output_tokens: Count | None = Field(None, description="All output, reasoning included.")
    reasoning_tokens: Count | None = Field(None, description="Part of output_tokens.")
    audio_input_tokens: Count | None = Field(None, description="Part of input_tokens.")
    audio_output_tokens: Count | None = Field(None, description="Part of output_tokens.")
    images: Count | None = None
    service_tier: Literal["default", "standard", "batch", "flex", "priority", "fast", "other"] | None = Field(
        None,
        description="As the answer says it, not as it was requested. It sets the price; without a list price "
        "for it, the call is unpriced. other: any further tier.",
    )
    cost_usd: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        None, description="What the call cost; else it is priced here."
    )
    latency_ms: Millis | None = Field(None, description="The whole call.")
    ttft_ms: Millis | None = Field(None, description="Until the first token.")
    stream: bool | None = None
    cache_hit: bool | None = Field(None, description="Answered by the gateway's own cache: costs nothing.")
    status: Literal["ok", "error"] = "ok"
    error_type: Text | None = None
    finish_reason: Text | None = None
    toxicity: Share | None = None
    scores: dict[Name, float] | None = Field(None, description="Evaluation, judge, human feedback.")
    guardrails: list[Guardrail] | None = None
    retrieval: Retrieval | None = None
    tools: list[Tool] | None = None
    embedding: Embedding | None = None
    input_text: str | None = Field(None, description="Only for scorers; never stored or shown.")
    output_text: str | None = Field(None, description="Only for scorers; never stored or shown.")
    target_id: Id | None = Field(None, description="Of an evaluation that comes later: the call it is about.")
    annotator: Name | None = Field(None, description="Who gave the scores, such as human, llm or code.")
    labelled: Name | None = Field(None, description="The name of an evaluation that gave no number.")
    cached_audio_tokens: Count | None = Field(
        None, description="Part of cached_tokens and of audio_input_tokens."
    )
    image_input_tokens: Count | None = Field(None, description="Part of input_tokens.")
    image_output_tokens: Count | None = Field(None, description="Part of output_tokens.")
    input_bytes: Count | None = Field(None, description="UTF-8 bytes of the whole input, if it is only text.")
    output_bytes: Count | None = Field(None, description="UTF-8 bytes of the answer, as far as it came.")
    max_output_tokens: Count | None = Field(None, description="The limit of the request or the model.")
    outcome: Name | None = Field(None, description="Of an outcome: its name, such as ticket_solved.")

    @classmethod
    def read(cls, data: bytes) -> CallEvent:
        """Parse an event from JSON. Raises ValueError (pydantic's ValidationError is one)."""
        return cls.model_validate(from_json(data, allow_inf_nan=False))


def floats(vector: str | list[float]) -> array[float]:
    """Convert the vector of an embedding to float32.

    Raises ValueError unless base64 holds 1 to 4,096 finite little-endian float32.
    """
    numbers = array("f", _bytes(vector) if isinstance(vector, str) else vector)
    if sys.byteorder == "big" and isinstance(vector, str):
        numbers.byteswap()
    return numbers


def packed(embedding: Embedding) -> bytes:
    """Pack the vector of a validated embedding as little-endian float32."""
    if isinstance(embedding.vector, str):
        return msgspec.convert(embedding.vector, bytes)
    numbers = array("f", embedding.vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _bytes(vector: str) -> bytes:
    try:
        # The length is checked first, so that a megabyte of base64 is not decoded.
        data = msgspec.convert(vector, bytes) if len(vector) <= MAX_VECTOR * 6 else b""
    except msgspec.ValidationError:
        data = b""
    if not 4 <= len(data) <= MAX_VECTOR * 4 or len(data) % 4:
        raise ValueError(f"not base64 of 1 to {MAX_VECTOR} float32 numbers")
    # A number that is not finite has one of these last bytes. Few others have, so few vectors are unpacked.
    last = data[3::4]
    if (b"\x7f" in last or b"\xff" in last) and not all(
        map(math.isfinite, struct.unpack(f"<{len(last)}f", data))
    ):
        raise ValueError("has a number that is not finite")
    return data


def _meta(marks: tuple[Any, ...]) -> msgspec.Meta | None:
    known: dict[str, Any] = {}
    for mark in marks:
        for part in mark.metadata if isinstance(mark, FieldInfo) else (mark,):
            match part:
                case annotated_types.Ge(ge=bound):
                    known["ge"] = bound
                case annotated_types.Le(le=bound):
                    known["le"] = bound
                case annotated_types.MinLen(min_length=bound):
                    known["min_length"] = bound
                case annotated_types.MaxLen(max_length=bound):
                    known["max_length"] = bound
                case annotated_types.Timezone():
                    known["tz"] = True
    return msgspec.Meta(**known) if known else None


def _type(hint: Any) -> Any:
    """Convert a type for msgspec: models become Structs, and pydantic's bounds msgspec's."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        meta = _meta(args[1:])
        return Annotated[_type(args[0]), meta] if meta else _type(args[0])
    if origin in (Union, UnionType):
        return Union[tuple(_type(arg) for arg in args)]  # noqa: UP007 - the members are known at run time
    if origin in (dict, list):
        return origin[tuple(_type(arg) for arg in args)]
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _struct(hint, hint.__name__)
    return hint


def _struct(model: type[BaseModel], name: str) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for field, info in model.model_fields.items():
        hint = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        fields.append(
            (field, _type(hint)) if info.is_required() else (field, _type(hint), info.get_default())
        )
    check = getattr(model, "check", None)
    namespace = {"__doc__": model.__doc__} | ({"__post_init__": check} if check else {})
    return msgspec.defstruct(
        name, fields, module=__name__, namespace=namespace,
        frozen=True, kw_only=True, omit_defaults=True, gc=False,
    )  # fmt: skip


if TYPE_CHECKING:
    Call = CallEvent
else:
    Call = _struct(CallEvent, "Call")


def call_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a call event."""
    schema = CallEvent.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": "LLM call"}


def ended(call: Call) -> int:
    """When the call ended, in µs since 1970."""
    ts = call.ts
    if isinstance(ts, int):
        return ts * 1_000
    past = ts - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def dimension(call: Call, name: str) -> str | None:
    """The value of a dimension: one of `view.DIMENSIONS`, or `tags.NAME`; None if it is absent or ""."""
    if name.startswith("tags."):
        return (call.tags or {}).get(name[5:]) or None
    value: str | None = getattr(call, name)
    return value or None

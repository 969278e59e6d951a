"""Makes Kafka records of the body of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from llmvitals import ingest
from llmvitals.errors import BadCall, Code, bad
from llmvitals.gateway.multipart import batch_of
from llmvitals.gateway.redact import redacted
from llmvitals.ingest import litellm, rest

if TYPE_CHECKING:
    from llmvitals.settings import Settings

_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ONE: Final = msgspec.json.Decoder(msgspec.Raw)


class Form(StrEnum):
    """What a path takes."""

    TRACES = "traces"
    LOGS = "logs"
    LITELLM = "litellm"
    CALLS = "calls"
    REST = "rest"
    RUNS = "runs"
    UNKNOWN = "unknown"

    @property
    def otlp(self) -> bool:
        """Whether it is OTLP."""
        return self in (Form.TRACES, Form.LOGS)


_PATHS: Final = {
    "/v1/traces": Form.TRACES,
    "/v1/logs": Form.LOGS,
    "/v1/calls": Form.CALLS,
    "/litellm": Form.LITELLM,
    "/runs/multipart": Form.RUNS,
}
"""The end of a path → its form; anything may stand before."""


class Received(NamedTuple):
    """A request: its body, decompressed, the time of its arrival in µs, and its Content-Type, whole."""

    method: str
    path: str
    body: bytes
    arrived: int
    content_type: str = ""


class Record(NamedTuple):
    """A record for Kafka. The key is the same when the same event is sent again."""

    key: bytes | None
    value: bytes


@dataclass(slots=True)
class Contents:
    """The records of a request.

    events: how many events they hold. filtered: how many things in them are no events. refused: what can't
    be read; an export goes to Kafka with it, of other bodies only the rest goes.
    """

    records: list[Record] = field(default_factory=list)
    events: int = 0
    filtered: int = 0
    refused: list[BadCall] = field(default_factory=list)

    def add(self, value: bytes, decoded: ingest.Decoded) -> None:
        """Add a record and what has been decoded of it."""
        self.records.append(Record(_key(decoded), redacted(value)))
        self.events += len(decoded.calls)
        self.filtered += decoded.filtered
        self.refused += decoded.refused


def form_of(path: str) -> Form:
    """What a path takes: our own paths, with any prefix, and those of vendors."""
    path = path.rstrip("/")
    own = next((form for end, form in _PATHS.items() if path.endswith(end)), None)
    return own or (Form.UNKNOWN if rest.vendor_of(path) is None else Form.REST)


class Reader:
    """Reads requests as combine will read their records."""

    def __init__(self, settings: Settings) -> None:
        self._decode = ingest.decoder(settings, None)
        self._limit = settings.gateway_max_bytes

    def read(self, form: Form, request: Received) -> Contents:
        """The records of a request. Raises BadCall if nothing in it can be read.

        Form.UNKNOWN takes payloads of LiteLLM, and nothing else.
        """
        contents = Contents()
        if form.otlp:
            if request.body:  # an export of nothing has no bytes
                decoded = self._decode(request.body, request.arrived, format="otlp")
                contents.add(request.body, decoded)
        elif form is Form.REST:
            self._add_request(contents, request, _parsed(request.body))
        elif form is Form.RUNS:
            batch, contents.refused = batch_of(request.body, request.content_type, self._limit)
            self._add_request(contents, request, batch)
        else:
            name = None if form is Form.CALLS else "litellm"
            self._add_items(contents, _items(request.body), request.arrived, name)
        return contents

    def _add_request(self, contents: Contents, request: Received, body: Any) -> None:
        value = _record(request, body)
        contents.add(value, self._decode(value, request.arrived, format="rest"))

    def _add_items(self, contents: Contents, items: Sequence[bytes], arrived: int, name: str | None) -> None:
        for place, item in enumerate(items):
            try:
                contents.add(item, self._decode(item, arrived, format=name))
            except BadCall as error:
                contents.refused.append(error.at(place) if len(items) > 1 else error)
        if contents.refused and not contents.records:
            raise contents.refused[0]


def has_litellm(body: bytes) -> bool:
    """Whether the body is a payload of LiteLLM, or begins with one."""
    try:
        return litellm.knows(_NAMES.decode(_items(body)[0]))
    except (BadCall, IndexError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad(Code.NOT_JSON, "The body is not JSON") from None


def _record(request: Received, body: Any) -> bytes:
    """The record of a request to a vendor's API: see `ingest.rest`."""
    try:
        return orjson.dumps({"method": request.method, "path": request.path, "body": body})
    except (TypeError, orjson.JSONEncodeError):
        raise bad(Code.NOT_JSON, "The body is nested too deeply, or the path is not UTF-8") from None


def _items(body: bytes) -> list[bytes]:
    """The events of an array, of one object, or of lines with one each."""
    body = body.strip(b" \t\r\n")
    try:
        if body.startswith(b"["):
            return [bytes(item) for item in _ITEMS.decode(body)]
        _ONE.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return [line for line in map(bytes.strip, body.split(b"\n")) if line]
    return [body]


def _key(decoded: ingest.Decoded) -> bytes | None:
    """The session, trace or id of the first call: what a client sends again comes to the same partition.

    Duplicates are only found within a partition.
    """
    first = next(iter(decoded.calls), None)
    return (first.session or first.trace_id or first.id).encode() if first is not None else None

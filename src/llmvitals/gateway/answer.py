"""The answers to requests: JSON, and for OTLP what its specification asks for.

Source: OpenTelemetry Protocol Specification 1.9, OTLP/HTTP response.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from llmvitals.gateway.records import Contents, Form

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOBUF: Final = "application/x-protobuf"
_TOLD: Final = 5
"""How many of the refused events an answer explains."""
_GRPC: Final[Mapping[int, int]] = {400: 3, 401: 16, 403: 7, 404: 12, 408: 4, 413: 8, 429: 8, 503: 14}
"""Status → code of google.rpc.Status; others are 3, INVALID_ARGUMENT."""

_ASKED: Final[Mapping[str, Mapping[str, Any]]] = {
    "/info": {
        "version": "0",
        "batch_ingest_config": {
            "use_multipart_endpoint": False,
            "size_limit": 100,
            "size_limit_bytes": 2_000_000,
            "scale_up_qsize_trigger": 1_000,
            "scale_up_nthreads_limit": 4,
            "scale_down_nempty_trigger": 4,
        },
    },
    "/is-alive/ping": {"healthy": True},
}
"""The end of a path → what LangSmith's client wants to know, and Opik's.

LangSmith's then sends JSON, and keeps attachments, which nothing reads, to itself.
"""


class Refusal(Exception):
    """A request that is refused.

    status: of HTTP. what: what is wrong and what to do, without values of the payload. retry_after: seconds
    after which the client may try again; None: it need not.
    """

    def __init__(self, status: int, what: str, retry_after: int | None = None) -> None:
        self.status, self.what, self.retry_after = status, what, retry_after
        super().__init__(what)


def refused(refusal: Refusal, form: Form, content_type: str) -> web.Response:
    """The answer to a request that is refused."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if not form.otlp:
        return web.json_response({"error": refusal.what}, status=refusal.status, headers=headers)
    code = _GRPC.get(refusal.status, 3)
    if content_type == PROTOBUF:
        return _protobuf(_number_and_text(code, refusal.what), refusal.status, headers)
    body = {"code": code, "message": refusal.what}
    return web.json_response(body, status=refusal.status, headers=headers)


def accepted(contents: Contents, form: Form, content_type: str) -> web.Response:
    """The answer when Kafka has everything that could be read."""
    reasons = [error.message for error in contents.refused[:_TOLD]]
    if not form.otlp:
        body: dict[str, Any] = {"accepted": contents.events, "ignored": contents.filtered}
        if reasons:  # Langfuse's client takes their names for a failure
            body |= {"rejected": len(contents.refused), "errors": [{"message": why} for why in reasons]}
        return web.json_response(body)
    if content_type == PROTOBUF:
        partial = _number_and_text(len(contents.refused), " ".join(reasons)) if reasons else b""
        return _protobuf(b"\x0a" + _varint(len(partial)) + partial if partial else b"", 200, {})
    rejected = "rejectedSpans" if form is Form.TRACES else "rejectedLogRecords"
    told = {rejected: str(len(contents.refused)), "errorMessage": " ".join(reasons)}
    return web.json_response({"partialSuccess": told} if reasons else {})


def asked(path: str) -> web.Response | None:
    """The answer to what a vendor's client asks before it sends; None for anything else."""
    path = path.rstrip("/")
    return next((web.json_response(body) for end, body in _ASKED.items() if path.endswith(end)), None)


def _protobuf(body: bytes, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type=PROTOBUF)


def _number_and_text(number: int, text: str) -> bytes:
    """A protobuf message with a number (1) and a text (2): a partial success, or google.rpc.Status.

    Written here, as the package with its classes is an extra.
    """
    encoded = text.encode()
    return b"\x08" + _varint(number) + b"\x12" + _varint(len(encoded)) + encoded


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])

"""Reads the body of a request within its limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmvitals.gateway.answer import PROTOBUF, Refusal
from llmvitals.gateway.compression import ENCODINGS, unpacked
from llmvitals.gateway.records import Form

if TYPE_CHECKING:
    from aiohttp import web

_SLOWEST: Final = 30.0
"""Seconds in which a body has to be there."""
_JSON: Final = ("application/json", "application/x-ndjson", "application/ndjson", "application/jsonl")
_MULTIPART: Final = "multipart/form-data"


async def body_of(request: web.Request, form: Form, limit: int) -> bytes:
    """The body, decompressed. limit: the most bytes, before and after. Raises Refusal or BadCall."""
    _check_type(request, form)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise Refusal(415, "Content-Encoding: send the body with gzip, deflate or without compression")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = unpacked(await _read(request, limit), encoding, limit)
    if body is None:
        raise _too_large(limit)
    return body


def _check_type(request: web.Request, form: Form) -> None:
    # A page in a browser may send other types, and none, to this machine without asking: they are refused.
    given = request.content_type if "Content-Type" in request.headers else None
    if form.otlp and given not in (PROTOBUF, "application/json"):
        raise Refusal(415, f"Content-Type: OTLP/HTTP is {PROTOBUF} or application/json")
    if form is Form.RUNS:
        if given != _MULTIPART:
            raise Refusal(415, f"Content-Type: LangSmith's clients send {_MULTIPART} to this path")
        if "Origin" in request.headers:  # this type a page may send
            raise Refusal(403, "The request has an Origin: pages in a browser can't send here")
    elif not form.otlp and given not in _JSON:
        raise Refusal(415, "Content-Type: send application/json, or application/x-ndjson with a JSON a line")


async def _read(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_SLOWEST):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refusal(408, f"The body was not there within {_SLOWEST:.0f} s: try again", 1) from None
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(
        413,
        f"The body has more than {limit:,} bytes: send fewer events at once, or raise "
        "LLMVITALS_GATEWAY_MAX_BYTES",
    )

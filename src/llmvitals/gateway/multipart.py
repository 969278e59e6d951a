"""Reads the multipart bodies of LangSmith's clients: the runs and the feedback of a batch.

A part is JSON. Its name says what it is: `post.ID` and `patch.ID` are the beginning and the end of a run,
`post.ID.outputs` and the like a field of it, `feedback.ID` is feedback. Attachments are left out.

Sources: RFC 2046, 5.1, and RFC 7578; langsmith 0.15 for Python and 0.12 for JavaScript.
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, Final

import orjson

from llmvitals.errors import BadCall, Code
from llmvitals.gateway.compression import ENCODINGS, unpacked
from llmvitals.lenient import count

Batch = dict[str, list[dict[str, Any]]]
"""`post`, `patch` and `feedback`: the body of LangSmith's /runs/batch, and the feedback beside it."""

_MOST_PARTS: Final = 10_000
"""A client sends up to 100 runs at once, each in up to seven parts and its attachments."""
_MOST_BOUNDARY: Final = 70
_NAME: Final = re.compile(r"(post|patch|feedback)\.([\w-]{1,128})(?:\.(\w{1,64}))?", re.ASCII)
_ATTACHMENT: Final = "attachment."
_HEADERS: Final = BytesHeaderParser()


def batch_of(body: bytes, content_type: str, limit: int) -> tuple[Batch, list[BadCall]]:
    """The runs and the feedback of a body, and what is wrong with other parts, which fall alone.

    content_type: the header, which has the boundary. limit: the most bytes of all compressed parts together,
    after decompression. Raises BadCall if nothing can be read.
    """
    parts, closed = _split(body, _boundary(content_type))
    found, refused = _Parts(limit), []
    for place, part in enumerate(parts):
        try:
            found.add(part)
        except BadCall as error:
            refused.append(error.at(place))
    if not closed:
        refused.append(BadCall(Code.INVALID, "The body ends early: its last boundary is missing"))
    if refused and not any(found.items.values()):
        raise refused[0]
    return {kind: [*items.values()] for kind, items in found.items.items()}, refused


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    found = header.get_param("boundary")
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_BOUNDARY or not found.isascii():
        raise BadCall(Code.INVALID, "Content-Type: has no boundary that stands between the parts")
    return found.encode()


def _split(body: bytes, boundary: bytes) -> tuple[list[bytes], bool]:
    """The parts, each with its headers, and whether a boundary stands behind the last. Raises BadCall."""
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, _MOST_PARTS + 2)
    end = next((place for place, part in enumerate(parts) if part.startswith(b"--")), None)
    parts, closed = (parts[:-1], False) if end is None else (parts[:end], True)
    if len(parts) > _MOST_PARTS:
        what = f"The body has more than {_MOST_PARTS:,} parts: send fewer runs at once"
        raise BadCall(Code.TOO_LARGE, what)
    return parts, closed


class _Parts:
    """Puts the parts of a body together. items: kind → id → what the parts with this id hold."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.items: dict[str, dict[str, dict[str, Any]]] = {"post": {}, "patch": {}, "feedback": {}}

    def add(self, part: bytes) -> None:
        """Add a part. Raises BadCall."""
        padding, _, rest = part.partition(b"\r\n")
        head, _, content = rest.partition(b"\r\n\r\n")
        headers = _HEADERS.parsebytes(head)
        name = headers.get_param("name", header="Content-Disposition")
        if padding.strip(b" \t") or not isinstance(name, str):
            raise BadCall(Code.INVALID, "is no part of a form: its Content-Disposition has no name")
        if name.startswith(_ATTACHMENT):
            return
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise BadCall(Code.INVALID, "name: is not post.ID, patch.ID, feedback.ID or one of their fields")
        kind, id_, field = matched.groups()
        value = _json(self._content(headers, content))
        if not field and not isinstance(value, dict):
            raise BadCall(Code.INVALID, "is no JSON object")
        self.items[kind].setdefault(id_, {"id": id_}).update({field: value} if field else value)

    def _content(self, headers: Message, content: bytes) -> bytes:
        """The content of a part, decompressed."""
        length = headers.get("Content-Length")
        if length is not None and count(length) != len(content):
            raise BadCall(Code.INVALID, "Content-Length: is not the length of the part")
        encoding = headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            raise BadCall(Code.INVALID, f"Content-Encoding: is none of {', '.join(ENCODINGS)}")
        if encoding == "identity":
            return content
        plain = unpacked(content, encoding, self._left)
        # What is too large has been unpacked up to the limit, too, and must not be so part by part.
        self._left -= self._left if plain is None else len(plain)
        if plain is None:
            raise BadCall(Code.TOO_LARGE, "Its parts unpack to more than LLMVITALS_GATEWAY_MAX_BYTES")
        return plain


def _json(content: bytes) -> Any:
    try:
        value = orjson.loads(content)
        orjson.dumps([[[[value]]]])  # so deep will it lie in the record
    except orjson.JSONDecodeError:
        raise BadCall(Code.NOT_JSON, "is not JSON") from None
    except orjson.JSONEncodeError:
        raise BadCall(Code.NOT_JSON, "is nested too deeply") from None
    return value

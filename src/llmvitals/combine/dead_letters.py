"""Makes the dead letters of records that can't be counted."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from llmvitals.errors import CURES, BadCall, Code
from llmvitals.record.chunk import LIMIT
from llmvitals.record.log import Message, Record, Topic

STAGE = "combine"


def dead_letter(source: str, record: Record, error: BadCall, *, body: bool) -> Message:
    """Make the dead letter of a record, or of one item of it. Every replay makes the same one.

    source: topic/partition. body: whether the value holds the record's body, if it fits into `chunk.LIMIT`.
    Otherwise it holds nothing of the payload: the value is JSON of the record's sha256 and size.
    """
    data = record.value or b""
    value: dict[str, str | int] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    if body and len(data) <= LIMIT:
        with_body = value | _body(data)
        # A message above the limit of the topic could never be sent, and would block everything after it.
        value = with_body if len(msgspec.json.encode(with_body)) <= LIMIT else value
    topic, _, partition = source.rpartition("/")
    headers = {
        "topic": topic,
        "partition": partition,
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "stage": STAGE,
        "code": error.code,
        "message": error.message,
    }
    item = "" if error.item is None else f"/{error.item}"
    if item:
        headers["item"] = str(error.item)
    return Message(
        Topic.DEAD_LETTERS,
        f"{source}/{record.offset}{item}".encode(),
        msgspec.json.encode(value),
        headers=tuple(
            (f"llmvitals.err.{name}", text.encode(errors="replace")) for name, text in headers.items()
        ),
    )


def defect(error: Exception) -> BadCall:
    """Describe an unexpected exception by its type only: its text may quote the payload."""
    return BadCall(Code.INTERNAL, f"{type(error).__name__} in {STAGE}. {CURES[Code.INTERNAL]}")


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(data).decode()}

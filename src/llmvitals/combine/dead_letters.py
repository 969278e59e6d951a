"""Dead letters: what a record that can't be counted leaves behind."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from llmvitals.errors import CURES, BadCall, Code
from llmvitals.record.chunk import LIMIT
from llmvitals.record.log import Message, Record, Topic

STAGE = "combine"


def letter(source: str, record: Record, why: BadCall, *, body: bool) -> Message:
    """The dead letter of a record: the same in every replay, and nothing of the payload unless `body`.

    source: topic/partition. value: JSON of the record's sha256 and size, and its body if that is opted in
    and fits into a record of the usual size (`chunk.LIMIT`).
    """
    data = record.value or b""
    value: dict[str, str | int] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    if body and len(data) <= LIMIT:
        whole = value | _body(data)
        # What no topic of the usual limit takes would hold up all that comes after it.
        value = whole if len(msgspec.json.encode(whole)) <= LIMIT else value
    topic, _, partition = source.rpartition("/")
    said = {
        "topic": topic,
        "partition": partition,
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "stage": STAGE,
        "code": why.code,
        "message": why.message,
    }
    return Message(
        Topic.DEAD_LETTERS,
        f"{source}/{record.offset}".encode(),
        msgspec.json.encode(value),
        headers=tuple(
            (f"llmvitals.err.{name}", text.encode(errors="replace")) for name, text in said.items()
        ),
    )


def defect(error: Exception) -> BadCall:
    """An unexpected exception by its type: its text might hold something of the payload."""
    return BadCall(Code.INTERNAL, f"{type(error).__name__} in {STAGE}. {CURES[Code.INTERNAL]}")


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(data).decode()}

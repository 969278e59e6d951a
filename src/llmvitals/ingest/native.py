"""Reads the native call event."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import msgspec

from llmvitals.errors import Code
from llmvitals.ingest.values import Context, Decoded, Format, bad, refusal
from llmvitals.record.call import Call

DECODER: Final = msgspec.json.Decoder(Call)


class _Version(msgspec.Struct):
    schema_version: int = 1


def knows(names: Container[str]) -> bool:
    """Whether an object with these names looks like a native call."""
    return sum(name in names for name in ("id", "ts", "model", "schema_version")) > 1


def read(value: bytes, _: Context) -> Decoded:
    """Decode one JSON object. Raises BadCall that names the field."""
    try:
        return Decoded([DECODER.decode(value)])
    except msgspec.ValidationError as error:
        if _newer(value):
            raise bad(Code.UNKNOWN_VERSION, "schema_version: is newer than 1") from None
        raise refusal(error) from None


def _newer(value: bytes) -> bool:
    try:
        return msgspec.json.decode(value, type=_Version).schema_version > 1
    except msgspec.ValidationError:
        return False


FORMAT: Final = Format(knows, read)

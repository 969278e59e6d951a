"""Parses native call events. What is wrong with one is said without a value of it."""

from __future__ import annotations

from typing import Final

import msgspec

from llmvitals.errors import BadCall, Code, bad
from llmvitals.record.call import EARLIEST, Call, ended

DECODER: Final = msgspec.json.Decoder(Call)


class _Version(msgspec.Struct):
    schema_version: int = 1


def parse(value: bytes) -> Call:
    """Decode one JSON object. Raises BadCall that names the field, and DecodeError for what is no JSON."""
    try:
        return DECODER.decode(value)
    except msgspec.ValidationError as error:
        if _newer(value):
            raise bad(Code.UNKNOWN_VERSION, "schema_version: is newer than 1") from None
        raise refusal(error) from None


def validate(value: bytes) -> None:
    """Raise BadCall for a JSON object that would become a dead letter by its fields or its time."""
    if ended(parse(value)) < EARLIEST:
        raise bad(Code.PAST, "ts: is too early")


def refusal(error: msgspec.ValidationError) -> BadCall:
    """Convert a msgspec error. Its text names the field, but never holds the value."""
    what, _, where = str(error).partition(" - at ")
    field = where.replace("`", "").removeprefix("$").removeprefix(".")
    if what.startswith("Invalid enum value"):
        what = "is not one of the allowed values"
    return bad(Code.INVALID, f"{field}: {what}" if field else what)


def _newer(value: bytes) -> bool:
    try:
        return msgspec.json.decode(value, type=_Version).schema_version > 1
    except msgspec.ValidationError:
        return False

"""Reads the native call event."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from llmvitals.ingest.values import Context, Decoded, Format
from llmvitals.record.native import parse


def knows(names: Container[str]) -> bool:
    """Whether an object with these names looks like a native call."""
    return sum(name in names for name in ("id", "ts", "model", "schema_version")) > 1


def read(value: bytes, _: Context) -> Decoded:
    """Decode one JSON object. Raises BadCall that names the field."""
    return Decoded([parse(value)])


FORMAT: Final = Format(knows, read)

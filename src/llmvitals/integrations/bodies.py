"""Bodies of requests and answers as plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

Json = Mapping[str, Any]
_HEAVY: Final = {"data"}
"""Vectors and images, which are not copied to be read."""


def dumped(body: Any) -> dict[str, Any]:
    """The body of a library's class, or of a dict that holds such, without vectors and images.

    Empty for what is no object, such as speech and plain text.
    """
    if isinstance(body, BaseModel):
        return body.model_dump(exclude=_HEAVY, warnings=False)
    return {name: _plain(value) for name, value in body.items()} if isinstance(body, Mapping) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(warnings=False)
    return [_plain(item) for item in value] if isinstance(value, list) else value

"""Splits what does not fit into one record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

BYTES: Final = 700_000
"""Bytes of content in a record, so that the whole stays below Kafka's default limit of 1 MB."""


def split_by_size(items: Iterable[T], size: Callable[[T], int], *, limit: int) -> Iterator[list[T]]:
    """Split items into parts of at most `limit` bytes, in their order.

    size: the bytes of an item. One that is larger than the limit gets a part of its own.

    >>> list(split_by_size(["aa", "b", "cccc"], len, limit=3))
    [['aa', 'b'], ['cccc']]
    """
    part, used = list[T](), 0
    for item in items:
        added = size(item)
        if part and used + added > limit:
            yield part
            part, used = [], 0
        part.append(item)
        used += added
    if part:
        yield part

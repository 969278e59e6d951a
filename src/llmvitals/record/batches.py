"""Cuts what goes into one record, so that Kafka takes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

BYTES: Final = 700_000
"""Bytes of content in a record, so that the whole stays below Kafka's default limit of 1 MB."""


def batches(
    items: Iterable[T], size: Callable[[T], int], *, limit: int, most: float = math.inf
) -> Iterator[list[T]]:
    """Cut items into batches of at most `limit` bytes and `most` items, in their order.

    size: the bytes of an item. One that is larger than the limit gets a batch of its own.

    >>> list(batches(["aa", "b", "cccc"], len, limit=3))
    [['aa', 'b'], ['cccc']]
    """
    batch, used = list[T](), 0
    for item in items:
        added = size(item)
        if batch and (used + added > limit or len(batch) >= most):
            yield batch
            batch, used = [], 0
        batch.append(item)
        used += added
    if batch:
        yield batch

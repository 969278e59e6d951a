"""Computes the list prices of many calls at once, as `PriceList.cost` does of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmvitals.price.cost import Costs, Reason
from llmvitals.price.formula import Coefficients, price
from llmvitals.price.price_list import PriceList
from llmvitals.price.rates import Key, Schedule
from llmvitals.price.unmetered import WRITES
from llmvitals.record.call import MODEL_OPERATIONS, Call
from llmvitals.record.tokens import TokenColumns, Tokens

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Item = TypeVar("Item", bound=Hashable)

_ROOM: Final = 2**63
"""64 bits hold what is below."""


def list_costs(
    calls: Sequence[Call], used: TokenColumns, schedule: Callable[[Key], Schedule], unasked: Sequence[int]
) -> Costs:
    """The list prices of calls. used: their tokens. unasked: places of calls whose list price is not needed.

    Raises OverflowError for a cost beyond 64 bits.
    """
    operations = [call.operation for call in calls]
    asked = used.input_known | used.output_known
    costs = Costs.unknown(len(calls), Reason.UNKNOWN_USAGE)
    if not MODEL_OPERATIONS.issuperset(operations):
        other = np.array([operation not in MODEL_OPERATIONS for operation in operations])
        costs.reasons[other] = Reason.NO_MODEL
        asked &= ~other
    asked[unasked] = False
    if asked.all():
        return _list_costs(calls, used, schedule)
    if asked.any():
        places = np.flatnonzero(asked)
        part = _list_costs([calls[place] for place in places.tolist()], used.take(places), schedule)
        for column, values in zip(costs, part, strict=True):
            column[places] = values
    return costs


def _list_costs(calls: Sequence[Call], used: TokenColumns, schedule: Callable[[Key], Schedule]) -> Costs:
    lists, codes = _lists(calls, schedule)
    nano, gross, consistent = _prices(lists, codes, used.by_kind)
    reasons = np.array([prices.reason for prices in lists], np.int64)[codes]
    reasons[(reasons == Reason.PRICED) & ~consistent] = Reason.INCONSISTENT
    half = (used.input_known != used.output_known) & (reasons == Reason.PRICED)
    if half.any():
        reasons[half & np.array([call.operation in WRITES for call in calls])] = Reason.PARTIAL_USAGE
    unknown = reasons != Reason.PRICED
    nano[unknown] = gross[unknown] = 0
    return Costs(nano.astype(np.int64), reasons, gross.astype(np.int64))


def _lists(calls: Sequence[Call], schedule: Callable[[Key], Schedule]) -> tuple[list[PriceList], Ints]:
    """The price lists of calls, and the place of each call's list."""
    keys, codes = _distinct((call.provider, call.model, call.service_tier) for call in calls)
    schedules = [schedule(key) for key in keys]
    lists = [found.constant for found in schedules if found.constant is not None]
    if len(lists) == len(schedules):
        return lists, np.array(codes, np.int64)
    lists, codes = _distinct(schedules[code].at(call) for code, call in zip(codes, calls, strict=True))
    return lists, np.array(codes, np.int64)


def _distinct(items: Iterable[Item]) -> tuple[list[Item], list[int]]:
    """The distinct items in the order in which they first appear, and the place of each among them."""
    places: defaultdict[Item, int] = defaultdict(count().__next__)
    codes = [places[item] for item in items]
    return [*places], codes


def _prices(lists: Sequence[PriceList], codes: Ints, used: Ints) -> tuple[Ints, Ints, Flags]:
    """`price` of calls. codes: the place of each call's list. used: TokenColumns.by_kind."""
    levels = [level for prices in lists for level in prices.levels]
    largest = max(prices.largest for prices in lists) * max(int(used.max()), 1)
    # Few lists have prices that are so high or so fine. Python's integers have room for them.
    kind: type = np.int64 if largest < _ROOM else object
    table: Ints = np.array(levels, kind).T
    rows = np.cumsum([0, *(len(prices.levels) for prices in lists)])[codes]
    for place, prices in enumerate(lists):
        for start in prices.tiers:
            rows += (codes == place) & (used[0] > start)
    rates: Coefficients[Ints] = Coefficients(*np.take(table, rows, axis=1))
    tokens: Tokens[Ints] = Tokens(*used.astype(kind, copy=False))
    nano, gross, consistent = price(rates, tokens)
    return nano, gross, np.asarray(consistent)

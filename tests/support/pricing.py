"""Prices for combine that a test makes up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmvitals.combine.plan import Assess
from llmvitals.price.cost import Cost, Costs
from llmvitals.record.call import Call


def one_by_one(assess: Callable[[Call], Cost]) -> Assess:
    """What a CombinePlan is given, of a function that prices one call."""

    def every(calls, _):
        nano, reasons, gross = zip(*map(assess, calls), strict=True)
        columns = [cost or 0 for cost in nano], reasons, gross
        return Costs(*(np.array(column, np.int64) for column in columns))

    return every

"""Finds the series and panes in which a rule cannot fire, so that the detector does not have to read them.

Most series never come near a limit. A screen reads the rule's own window (see condition/trailing) at every
time at which it changes, but less exactly; the detector decides about the windows that it keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llmvitals.rules.condition.screening import Windows
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.backtest.columns import SeriesColumns
    from llmvitals.rules.condition.screening import Screen
    from llmvitals.rules.rule import Rule

    Ints = NDArray[np.int64]


def screen_of(rule: Rule) -> Screen | None:
    """The rule's screen; None if the detector has to read every series.

    A rule that fires on too few calls may fire for any series.
    """
    if rule.no_data not in ("ok", "keep") or rule.condition.required_data is None:
        return None
    return rule.condition.screen


def first_panes(screen: Screen, columns: SeriesColumns, pane: int, since: int) -> Ints:
    """For each entry the first pane in which the rule may fire: its own, or that in which it leaves.

    FOREVER if it cannot fire. columns: all entries from the screen's window before the pane `since` on; panes
    before `since` are not checked. pane: µs.
    """
    length = bucket_length(screen.window, pane)
    windows = Windows.of(columns, length // pane, screen.window // length)
    first = np.where(screen.may_fire(windows) & (windows.panes >= since), windows.panes, FOREVER)
    return np.minimum(first[: len(columns)], first[len(columns) :])

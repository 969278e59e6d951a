"""The cause of an alert: what has changed, or what little is known where nothing can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmvitals.rootcause.line import comparable, known_line, root_cause_line

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import Reading
    from llmvitals.rootcause.decomposition import Ratio
    from llmvitals.rootcause.recent import RecentContributors


class Question(NamedTuple):
    """What is to be explained: a reading of this metric. ratio: see decomposition."""

    metric: str
    unit: Unit
    reading: Reading
    ratio: Ratio


def cause_of(
    question: Question, recent: RecentContributors, kept: dict[str, Any], alert: dict[str, Any]
) -> str:
    """The root-cause line of an alert that fires, or whose value has moved.

    kept: the state of `recent`. alert: the state of the alert, in which the period before it is kept, and as
    "cause" the last line: it remains while the alert fires though the rate is back as it was, or beyond.
    """
    metric, unit, reading, ratio = question
    # Whether a budget burns too fast, or will be overspent, is seen over hours.
    periods = recent.periods(kept, reading.at, alert, slow=bool(reading.facet))
    if periods is None or not comparable(*periods):
        lately = recent.lately(kept, reading.at)
        return known_line(metric, unit, lately) if lately else ""
    line = root_cause_line(metric, unit, *periods, fixed=recent.fixed, ratio=ratio)
    last: str = alert.get("cause", "")
    if not last or line[:1] == last[:1]:
        alert["cause"] = last = line
    return last

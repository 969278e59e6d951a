"""The parts of the calls' sums that a condition reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvitals.record.vitals import TOPS
from llmvitals.sketch.counters import MAXIMA, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.metrics.metric import Metric


@dataclass(frozen=True, slots=True)
class RequiredData:
    """The sums, maxima and sketches that are read.

    sums, tops: names in counters.SUMS and counters.MAXIMA. sketches: names. tools: whether tools are read.
    """

    sums: tuple[str, ...]
    tops: tuple[str, ...] = ()
    sketches: tuple[str, ...] = ()
    tools: bool = False

    @classmethod
    def of(cls, metric: Metric) -> RequiredData:
        """The data of a metric."""
        names = ("calls", metric.counted, *metric.over, *metric.less, metric.under)
        sums = tuple(dict.fromkeys(name for name in names if name in SUMS))
        top = metric.top or (TOPS[metric.sketch][0] if metric.sketch in TOPS else "")
        return cls(sums, (top,) if top else (), (metric.sketch,) if metric.sketch else ())

    @classmethod
    def all_sums(cls, sketches: Iterable[str]) -> RequiredData:
        """All sums and maxima, and the sketches that are named; "" names none."""
        return cls(SUMS, MAXIMA, tuple(dict.fromkeys(filter(None, sketches))))

    @classmethod
    def joined(cls, several: Iterable[RequiredData]) -> RequiredData:
        """The union."""
        several = list(several)
        return cls(
            tuple(dict.fromkeys(name for needs in several for name in needs.sums)),
            tuple(dict.fromkeys(name for needs in several for name in needs.tops)),
            tuple(dict.fromkeys(name for needs in several for name in needs.sketches)),
            tools=any(needs.tools for needs in several),
        )

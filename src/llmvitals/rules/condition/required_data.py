"""What a condition reads of the calls."""

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
    """What is read.

    sums, tops: names of tally.SUMS and tally.MAXIMA. sketches: their names. tools: whether tools are read.
    """

    sums: tuple[str, ...]
    tops: tuple[str, ...] = ()
    sketches: tuple[str, ...] = ()
    tools: bool = False

    @classmethod
    def of(cls, metric: Metric) -> RequiredData:
        """What a metric is computed from."""
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
        """What any of them reads."""
        several = list(several)
        return cls(
            tuple(dict.fromkeys(name for needs in several for name in needs.sums)),
            tuple(dict.fromkeys(name for needs in several for name in needs.tops)),
            tuple(dict.fromkeys(name for needs in several for name in needs.sketches)),
            tools=any(needs.tools for needs in several),
        )

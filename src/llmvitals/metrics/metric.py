"""The statistics that a threshold may watch: how each is summed over panes and read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.errors import suggestion
from llmvitals.metrics.amount import NANO
from llmvitals.metrics.ratio import RATIOS, Ratio
from llmvitals.record.vitals import TOPS
from llmvitals.sketch import quantiles
from llmvitals.sketch.scores import MICRO, NO_SCORE

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

Sample = tuple[list[int], int, dict[str, int]]
"""Of some panes: sums, a maximum, bins of a sketch (number as text → count). Plain data."""

SECONDS: Final = "seconds"
_SCORE: Final = re.compile(r"score\.(\S{1,64})_mean")


@dataclass(frozen=True, slots=True)
class Metric:
    """One statistic.

    over, less, under, per: see Ratio; no `under`: the total itself; under SECONDS: a rate. counted: the total
    that tells how many calls it rests on.
    sketch, q: the quantile that it is instead. top: the maximum that it is instead. score: the score whose
    mean it is instead.
    """

    unit: Unit
    over: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    under: str = ""
    per: float = 1
    counted: str = "calls"
    sketch: str = ""
    q: float = 0.0
    top: str = ""
    score: str = ""

    @property
    def steady(self) -> bool:
        """Whether few calls make it jump, so that `min_calls` has to guard it."""
        return not (self.sketch or self.top or self.score or (self.under and self.under != SECONDS))

    def sample(self, vitals: Vitals) -> Sample:
        """What has to be kept of a pane."""
        if self.score:
            count, total, _ = vitals.scores.get(self.score, NO_SCORE)
            return [count, total, count], 0, {}
        over = sum(map(vitals.total, self.over)) - sum(map(vitals.total, self.less))
        under = vitals.total(self.under) if self.under not in ("", SECONDS) else 0
        bins: dict[str, int] = {}
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            bins = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
        top = self.top or (TOPS[self.sketch][0] if self.sketch in TOPS else "")
        return [vitals.total(self.counted), over, under], vitals.total(top) if top else 0, bins

    def calls(self, sample: Sample) -> int:
        """How many calls a sample rests on."""
        return sum(sample[2].values()) if self.sketch else sample[0][0]

    def read(self, sample: Sample, seconds: float) -> float | None:
        """The statistic; None where there is none. seconds: the window's length, for rates."""
        (counted, over, under), top, bins = sample
        if self.sketch:
            return _quantile(self.sketch, self.q, bins, top)
        if self.top:
            return top / self.per if counted else None
        divisor = {"": 1.0, SECONDS: seconds}.get(self.under, float(under))
        return over / (divisor * self.per) if divisor else None


def _quantile(sketch: str, q: float, bins: dict[str, int], top: int) -> float | None:
    """Never above the exact maximum, as Vitals.quantile; top: 0 where none is kept."""
    first = quantiles.NUMBER[sketch] * quantiles.STRIDE
    pairs = sorted((int(number), count) for number, count in bins.items())
    keys = np.array([first + number for number, _ in pairs], np.uint16)
    found = quantiles.quantile((keys, np.array([count for _, count in pairs], np.int64)), sketch, q)
    return found if found is None or not top else min(found, top / TOPS[sketch][2])


def _total(unit: Unit, *names: str) -> Metric:
    return Metric(unit, names, per=NANO if unit == "usd" else 1)


def _rate(unit: Unit, *names: str, per: float = 1) -> Metric:
    return Metric(unit, names, under=SECONDS, per=per)


def _ratio(ratio: Ratio) -> Metric:
    return Metric(
        ratio.unit, ratio.over, ratio.less, ratio.under, ratio.per, counted=ratio.counted or ratio.under
    )


def _top(unit: Unit, sketch: str) -> Metric:
    top, counted, per = TOPS[sketch]
    return Metric(unit, top=top, per=per, counted=counted)


def _spread(stem: str, sketch: str, unit: Unit, qs: tuple[int, ...] = (50, 90, 95, 99)) -> dict[str, Metric]:
    return {f"{stem}_p{q}": Metric(unit, sketch=sketch, q=q / 100) for q in qs}


METRICS: Final[dict[str, Metric]] = {
    **{name: _total("count", name) for name in (
        "calls", "errors", "late_calls", "duplicates", "unpriced_calls", "unknown_usage_calls",
        "inconsistent_usage_calls", "cache_hits", "guardrail_blocks", "truncated_calls", "toxic_calls",
        "refused_calls", "guarded_calls", "guardrail_flags", "retrievals", "empty_retrievals",
        "embedded_calls", "unscored_calls",
    )},
    "cost": _total("usd", "cost_nano"),
    "tokens": _total("tokens", "input_tokens", "output_tokens"),
    **{name: _total("tokens", name) for name in (
        "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    )},
    "calls_per_s": _rate("per_s", "calls"),
    "errors_per_s": _rate("per_s", "errors"),
    "tokens_per_s": _rate("tokens_per_s", "input_tokens", "output_tokens"),
    "cost_per_hour": _rate("usd", "cost_nano", per=NANO / 3_600),
    **{name: _ratio(ratio) for name, ratio in RATIOS.items()},
    "latency_max": _top("ms", "latency_ms"),
    "ttft_max": _top("ms", "ttft_ms"),
    "cost_per_call_max": _top("usd", "cost_usd_per_call"),
    "input_tokens_per_call_max": _top("tokens", "input_tokens_per_call"),
    **_spread("latency", "latency_ms", "ms"),
    **_spread("ttft", "ttft_ms", "ms"),
    **_spread("cost_per_call", "cost_usd_per_call", "usd"),
    **_spread("input_tokens_per_call", "input_tokens_per_call", "tokens"),
    **_spread("output_tokens_per_s", "output_tokens_per_s", "tokens_per_s", (5, 10, 50, 90, 95, 99)),
    **_spread("toxicity", "toxicity", "score"),
}  # fmt: skip
"""Name in a rule → the statistic; beside them there is `score.NAME_mean`, of each score by its name."""


def metric_of(name: Any) -> Metric:
    """The statistic of that name. Raises ValueError with a suggestion."""
    if isinstance(name, str) and (score := _SCORE.fullmatch(name)):
        return Metric("score", under="count", per=MICRO, score=score[1])
    if isinstance(name, str) and name in METRICS:
        return METRICS[name]
    if isinstance(name, str) and name.startswith("score."):
        raise ValueError(f"{name!r} is no metric: write score.NAME_mean, such as score.helpful_mean")
    names = [*METRICS, "score.NAME_mean"]
    raise ValueError(f"{name!r} is no metric{suggestion(str(name), names)}")

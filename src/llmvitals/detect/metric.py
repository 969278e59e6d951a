"""The statistics that a threshold may watch: how each is summed over panes and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.record.vitals import TOPS
from llmvitals.sketch import quantiles

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

Sample = tuple[list[int], int, dict[str, int]]
"""Of some panes: sums, a maximum, bins of a sketch (number as text → count). Plain data."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One statistic.

    over, under: totals whose quotient it is, times `scale`; no `under`: the total itself; under "seconds":
    a rate. counted: the total that tells how many calls it rests on.
    sketch, q: the quantile that it is instead. top: the maximum that it is instead.
    """

    unit: Unit
    over: tuple[str, ...] = ()
    under: str = ""
    scale: float = 1.0
    counted: str = "calls"
    sketch: str = ""
    q: float = 0.0
    top: str = ""

    @property
    def steady(self) -> bool:
        """Whether few calls make it jump, so that `min_calls` has to guard it."""
        return not (self.sketch or self.top or (self.under and self.under != "seconds"))

    def sample(self, vitals: Vitals) -> Sample:
        """What has to be kept of a pane."""
        sums = [vitals.total(self.counted), sum(vitals.total(name) for name in self.over)]
        sums.append(vitals.total(self.under) if self.under and self.under != "seconds" else 0)
        bins: dict[str, int] = {}
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            bins = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
        top = self.top or (TOPS[self.sketch][0] if self.sketch in TOPS else "")
        return sums, vitals.total(top) if top else 0, bins

    def calls(self, sample: Sample) -> int:
        """How many calls a sample rests on."""
        return sum(sample[2].values()) if self.sketch else sample[0][0]

    def read(self, sample: Sample, seconds: float) -> float | None:
        """The statistic; None where there is none. seconds: the window's length, for rates."""
        (counted, over, under), top, bins = sample
        if self.sketch:
            return _quantile(self.sketch, self.q, bins, top)
        if self.top:
            return top * self.scale if counted else None
        divisor = 1.0 if not self.under else seconds if self.under == "seconds" else float(under)
        return over * self.scale / divisor if divisor else None


def _quantile(sketch: str, q: float, bins: dict[str, int], top: int) -> float | None:
    """Never above the exact maximum, as Vitals.quantile; top: 0 where none is kept."""
    first = quantiles.NUMBER[sketch] * quantiles.STRIDE
    pairs = sorted((int(number), count) for number, count in bins.items())
    keys = np.array([first + number for number, _ in pairs], np.uint16)
    found = quantiles.quantile((keys, np.array([count for _, count in pairs], np.int64)), sketch, q)
    return found if found is None or not top else min(found, top / TOPS[sketch][2])


def _count(name: str) -> Metric:
    return Metric("count", (name,))


def _tokens(*names: str) -> Metric:
    return Metric("tokens", names)


def _share(name: str, of: str = "calls") -> Metric:
    return Metric("share", (name,), of, counted=of)


def _spread(stem: str, sketch: str, unit: Unit, qs: tuple[int, ...]) -> dict[str, Metric]:
    return {f"{stem}_p{q}": Metric(unit, sketch=sketch, q=q / 100) for q in qs}


_USUAL: Final = (50, 90, 95, 99)

METRICS: Final[dict[str, Metric]] = {
    "calls": _count("calls"),
    "errors": _count("errors"),
    "late_calls": _count("late_calls"),
    "duplicates": _count("duplicates"),
    "unpriced_calls": _count("unpriced_calls"),
    "unknown_usage_calls": _count("unknown_usage_calls"),
    "guardrail_blocks": _count("guardrail_blocks"),
    "truncated_calls": _count("truncated_calls"),
    "toxic_calls": _count("toxic_calls"),
    "calls_per_s": Metric("per_s", ("calls",), "seconds"),
    "errors_per_s": Metric("per_s", ("errors",), "seconds"),
    "cost": Metric("usd", ("cost_nano",), scale=1e-9),
    "tokens": _tokens("input_tokens", "output_tokens"),
    "input_tokens": _tokens("input_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "error_share": _share("errors"),
    "late_share": _share("late_calls"),
    "truncated_share": _share("truncated_calls"),
    "guardrail_block_share": _share("guardrail_blocks"),
    "cache_hit_share": _share("cache_hits"),
    "unpriced_share": _share("unpriced_calls"),
    "unknown_usage_share": _share("unknown_usage_calls"),
    "toxicity_share": _share("toxic_calls", "toxicity_count"),
    "toxicity_mean": Metric(
        "score", ("toxicity_micro",), "toxicity_count", scale=1e-6, counted="toxicity_count"
    ),
    "latency_mean": Metric("ms", ("latency_us",), "latency_count", scale=1e-3, counted="latency_count"),
    "latency_max": Metric("ms", top="latency_us_max", scale=1e-3, counted="latency_count"),
    "ttft_mean": Metric("ms", ("ttft_us",), "ttft_count", scale=1e-3, counted="ttft_count"),
    "ttft_max": Metric("ms", top="ttft_us_max", scale=1e-3, counted="ttft_count"),
    "cost_per_call_mean": Metric("usd", ("cost_nano",), "priced_calls", scale=1e-9, counted="priced_calls"),
    "cost_per_call_max": Metric("usd", top="cost_nano_max", scale=1e-9, counted="priced_calls"),
    "input_tokens_per_call_mean": Metric("tokens", ("input_tokens",), "usage_calls", counted="usage_calls"),
    "input_tokens_per_call_max": Metric("tokens", top="input_tokens_max", counted="usage_calls"),
    **_spread("latency", "latency_ms", "ms", _USUAL),
    **_spread("ttft", "ttft_ms", "ms", _USUAL),
    **_spread("cost_per_call", "cost_usd_per_call", "usd", _USUAL),
    **_spread("input_tokens_per_call", "input_tokens_per_call", "tokens", _USUAL),
    **_spread("output_tokens_per_s", "output_tokens_per_s", "tokens_per_s", (5, 50)),
}
"""Name in a rule → the statistic."""

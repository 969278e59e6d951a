"""Panes → the metrics of their minutes, as numbers whose noise is alike at every height."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.detect.metric import METRICS, SECONDS, metric_of
from llmvitals.record.ratio import RATIOS
from llmvitals.sketch import quantiles
from llmvitals.sketch.tally import SUM, SUMS
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.detect.metric import Metric
    from llmvitals.record.vitals import Vitals

    Floats = NDArray[np.float64]

ALL: Final = (
    *(
        name
        for name in RATIOS
        if name not in ("late_share", "duplicate_share", "latency_mean", "ttft_mean", "tokens_per_call_mean")
    ),
    "latency_p50",
    "latency_p95",
    "ttft_p50",
    "ttft_p95",
    "output_tokens_per_s_p50",
)
"""What is looked at where a rule names nothing; beside them the mean of each score. Of what says the same of
calls, one: and how late calls come, or twice, is no matter of theirs."""
SCORE: Final = "score.{}_mean"


CHANGING: Final = tuple(
    name
    for name, metric in METRICS.items()
    if not metric.top and (metric.sketch or metric.under not in ("", SECONDS))
)
"""What may be looked at: a minute has a value of it that doesn't go with the traffic."""


def changing(name: Any) -> None:
    """Raises ValueError where a metric is none of those."""
    if not metric_of(name).score and name not in CHANGING:
        raise ValueError(
            f"{name} goes up and down with the calls of each minute: write a share, mean or percentile"
        )


def scaled(metric: Metric, value: float) -> float:
    """A value → the number that is compared: the arc sine of a share's root, a logarithm; scores as they are.

    >>> scaled(METRICS["latency_p95"], 1.0), scaled(METRICS["error_share"], 0.0)
    (0.0, 0.0)
    """
    if metric.unit == "share":
        return float(np.arcsin(np.sqrt(min(max(value, 0.0), 1.0))))
    if metric.unit == "score":
        return value
    return float(np.log(value)) if value > 0 else float("nan")


def value(metric: Metric, number: float) -> float:
    """Back from `scaled`."""
    if metric.unit == "share":
        return float(np.sin(number) ** 2)
    return number if metric.unit == "score" else float(np.exp(number))


def margin(metric: Metric, number: float) -> float:
    """By how much a number has to change to be worth a word: a tenth of its value, or of a share one in 100.

    Of a score a twentieth.
    """
    was = value(metric, number)
    least = max(abs(was) * (0.05 if metric.unit == "score" else 0.1), 0.01 if metric.unit == "share" else 0.0)
    if metric.unit == "share" and was + least > 1:
        return abs(scaled(metric, was - least) - number)
    return abs(scaled(metric, was + least) - number)


@dataclass(frozen=True)
class Minutes:
    """names: the metrics; () for ALL and every score. few: calls that a minute needs. pane: µs."""

    names: tuple[str, ...]
    few: int
    pane: int

    def packed(self, pane: int, vitals: Vitals) -> list[Any]:
        """What has to be kept of a pane, plain data."""
        keys, counts = vitals.bins
        told = keys.tobytes(), counts.tobytes()
        scores = {name: [said[0], said[1]] for name, said in vitals.scores.items()}
        return [pane, list(vitals.sums), *told, scores]

    def read(self, panes: list[list[Any]]) -> list[tuple[int, dict[str, float]]]:
        """(minute, metric → number) of each minute with calls, of panes in order."""
        number = np.array([entry[0] * self.pane // MINUTE for entry in panes])
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        sums = np.add.reduceat(np.array([entry[1] for entry in panes], np.float64), starts, axis=0)
        found: list[dict[str, float]] = [{} for _ in starts]
        self._ratios(sums, found)
        ends = [*starts[1:].tolist(), len(panes)]
        parts = [panes[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
        if self._of_bins:
            self._quantiles([_merged(part) for part in parts], found)
        for part, row in zip(parts, found, strict=True):
            self._scores(part, row)
        return list(zip(number[starts].tolist(), found, strict=True))

    def _ratios(self, sums: Floats, found: list[dict[str, float]]) -> None:
        over = sums @ self._over
        under, counted = sums[:, self._under], sums[:, self._counted]
        known = (under > 0) & (counted >= self.few)
        values = over / np.where(known, under * self._per, 1)
        for row, column in zip(*(places.tolist() for places in np.nonzero(known)), strict=True):
            name = self._of_sums[column]
            found[row][name] = scaled(METRICS[name], float(values[row, column]))

    def _quantiles(self, bins: list[quantiles.Bins], found: list[dict[str, float]]) -> None:
        table = quantiles.read(bins, [(sketch, q) for _, sketch, q in self._of_bins])
        sketches = {sketch for _, sketch, _ in self._of_bins}
        for part, row, values in zip(bins, found, table.tolist(), strict=True):
            calls = {one: int(quantiles.sketch_bins(part, one)[1].sum()) for one in sketches}
            for (name, sketch, _), value in zip(self._of_bins, values, strict=True):
                if calls[sketch] >= self.few:
                    row[name] = scaled(METRICS[name], value)

    def _scores(self, parts: list[list[Any]], found: dict[str, float]) -> None:
        sums: dict[str, list[int]] = {}
        for entry in parts:
            for name, (count, total) in entry[4].items():
                had = sums.setdefault(SCORE.format(name), [0, 0])
                had[0] += count
                had[1] += total
        for name, (count, total) in sums.items():
            if count >= self.few and (not self.names or name in self.names):
                found[name] = total / count / 1e6

    @cached_property
    def _of_sums(self) -> list[str]:
        return [name for name in self.names or ALL if name in METRICS and not METRICS[name].sketch]

    @cached_property
    def _of_bins(self) -> list[tuple[str, str, float]]:
        found = [(name, METRICS[name]) for name in self.names or ALL if name in METRICS]
        return [(name, metric.sketch, metric.q) for name, metric in found if metric.sketch]

    @cached_property
    def _over(self) -> Floats:
        table = np.zeros((len(SUMS), len(self._of_sums)))
        for column, name in enumerate(self._of_sums):
            for sign, some in ((1, METRICS[name].over), (-1, METRICS[name].less)):
                for one in some:
                    table[SUM[one], column] += sign
        return table

    @cached_property
    def _under(self) -> list[int]:
        return [SUM[METRICS[name].under] for name in self._of_sums]

    @cached_property
    def _counted(self) -> list[int]:
        return [SUM[METRICS[name].counted] for name in self._of_sums]

    @cached_property
    def _per(self) -> Floats:
        return np.array([METRICS[name].per for name in self._of_sums], np.float64)


def _merged(panes: list[list[Any]]) -> quantiles.Bins:
    """The bins of all panes."""
    return quantiles.merge_bins(
        [(np.frombuffer(keys, np.uint16), np.frombuffer(counts, np.int64)) for _, _, keys, counts, _ in panes]
    )

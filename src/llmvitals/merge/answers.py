"""What a window holds of the answers' toxicity and scores → points of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llmvitals.metrics.columns import COUNTS, MEASURES, SCORES, TOXICITY
from llmvitals.metrics.registry import METRICS
from llmvitals.record.point import Point
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import scores
from llmvitals.window import ROLLUPS

_TOTALS: Final = {"scored_calls": "toxicity_count"}
"""Field → the sum that it is, where that has another name."""


def answers(calls: Point, vitals: Vitals) -> Iterator[Point]:
    """Points beside that of the calls: of toxicity where there is any, and of each score from a minute on."""
    if vitals.total("toxicity_count") or vitals.total("unscored_calls"):
        yield _beside(calls, TOXICITY, counts=_toxic(vitals), measures=dict(_toxicity(vitals)))
    if calls.tags["window"] in ROLLUPS:
        for name, said in sorted(vitals.scores.items()):
            measures = {"score_mean": scores.mean(said)}
            if (deviation := scores.deviation(said)) is not None:
                measures["score_deviation"] = deviation
            yield _beside(calls, SCORES, {"score": name}, counts={"scores": said[0]}, measures=measures)


def _beside(
    calls: Point,
    measurement: str,
    tags: dict[str, str] | None = None,
    *,
    counts: dict[str, int],
    measures: dict[str, float],
) -> Point:
    return Point(
        measurement=measurement,
        start=calls.start,
        tags={**calls.tags, **(tags or {})},
        counts=counts,
        measures=measures,
        upto=calls.upto,
    )


def _toxic(vitals: Vitals) -> dict[str, int]:
    return {name: vitals.total(_TOTALS.get(name, name)) for name in COUNTS[TOXICITY]}


def _toxicity(vitals: Vitals) -> Iterator[tuple[str, float]]:
    """Name and value of the measures that exist."""
    for name in MEASURES[TOXICITY]:
        metric = METRICS[name]
        value = vitals.quantile(metric.sketch, metric.q) if metric.sketch else metric.of(vitals.total)
        if value is not None:
            yield name, value

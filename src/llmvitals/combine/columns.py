"""Calls → columns: each call becomes a vector in the order of tally.SUMS, and the names that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.answers import Answer, answers
from llmvitals.combine.embedded import given
from llmvitals.combine.multi_valued import NOTHING, MultiValued, scores, tools
from llmvitals.combine.plan import Cost
from llmvitals.combine.quality import endings, searches, unscored, verdicts
from llmvitals.record.call import MODEL_OPERATIONS, Call, dimension
from llmvitals.sketch.counters import LOG_UNIT, SUM, SUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPEED_US: Final = len(SUMS)
"""The row after the sums: µs that the output took to write, 0 where the speed is unknown."""
HEIGHT: Final = SPEED_US + 1
_QUALITY: Final = [
    SUM[name] for name in ("calls", "guarded_calls", "toxicity_count", "retrievals", "unscored_calls")
]
"""What counts of an event, beside its scores."""


@dataclass(slots=True)
class Columns:
    """Calls side by side, n of each.

    vectors: HEIGHT × n, what each call adds to tally.SUMS, and SPEED_US. counted: whether anything of it
    counts at all (a tool's span doesn't). who: a column for each of heavy.KINDS but "tool". dimensions: one
    for each of the plan's. tools, scores: by name.
    """

    vectors: Ints
    counted: Flags
    ids: Sequence[str]
    answers: Sequence[Answer | None]
    traces: Sequence[str]
    who: tuple[Sequence[Any], ...]
    dimensions: tuple[Sequence[str | None], ...]
    tools: MultiValued
    scores: MultiValued
    embedded: MultiValued

    def take(self, places: Ints) -> Columns:
        """Only the calls at these places, in this order."""
        at = places.tolist()
        return Columns(
            np.take(self.vectors, places, axis=1),
            self.counted[places],
            [self.ids[i] for i in at],
            [self.answers[i] for i in at],
            [self.traces[i] for i in at],
            tuple([[column[i] for i in at] for column in self.who]),
            tuple([[column[i] for i in at] for column in self.dimensions]),
            self.tools.take(places),
            self.scores.take(places),
            self.embedded.take(places),
        )


def columns(
    calls: Sequence[Call], costs: Sequence[Cost], dimensions: Sequence[str], *, meaning: bool = False
) -> Columns:
    """The columns of calls (one at least), of what each costs, and of the dimensions that are asked for.

    What no model answered (retrieval, tool, guardrail, evaluation, agent) is no call: it has no cost and no
    tokens here, because the model calls below it have them. Only what guardrails said, a toxicity, scores and
    a retrieval are counted, where it brings one.
    """
    v = np.zeros((HEIGHT, len(calls)), np.int64)
    v[SUM["calls"]] = 1
    _flags(v, calls)
    endings(v, calls)
    _tokens(v, calls)
    _money(v, costs)
    _times(v, calls)
    operations = [call.operation for call in calls]
    models = MODEL_OPERATIONS.issuperset(operations)
    if not models:
        v[:, [operation not in MODEL_OPERATIONS for operation in operations]] = 0
    verdicts(v, calls)
    searches(v, calls)
    if not models:
        unscored(v, calls)
    ids, traces = [call.id for call in calls], [call.trace_id for call in calls]
    scored = scores(calls)
    counted: Flags = np.bitwise_or.reduce(v[_QUALITY]) > 0
    counted[scored.places] = True
    embedded = given(calls) if meaning else NOTHING
    counted[embedded.places] = True
    return Columns(
        v,
        counted,
        ids,
        answers(calls),
        [trace or own for trace, own in zip(traces, ids, strict=True)],
        (
            [call.user for call in calls],
            [call.session for call in calls],
            [call.key for call in calls],
            [(call.prompt_name, call.prompt_version) for call in calls],
            [call.model for call in calls],
        ),
        tuple([_dimension(calls, name) for name in dimensions]),
        tools(calls),
        scored,
        embedded,
    )


def _dimension(calls: Sequence[Call], name: str) -> list[str | None]:
    if "." in name:
        return [dimension(call, name) for call in calls]
    return list(map(attrgetter(name), calls))


def _flags(v: Ints, calls: Sequence[Call]) -> None:
    status = [call.status for call in calls]
    if "error" in status:
        v[SUM["errors"]] = [said == "error" for said in status]
    hits = [call.cache_hit for call in calls]
    if True in hits:
        v[SUM["cache_hits"]] = [hit is True for hit in hits]


def _numbers(column: list[float | None]) -> tuple[Floats, Flags]:
    """Numbers, 0 for None, and where there was one."""
    missing = column.count(None)
    if missing == len(column):
        return np.zeros(missing), np.zeros(missing, np.bool_)
    values = np.array(column, np.float64)
    there = ~np.isnan(values)
    return (np.nan_to_num(values), there) if missing else (values, there)


def _tokens(v: Ints, calls: Sequence[Call]) -> None:
    v[SUM["input_tokens"]], into = _numbers([call.input_tokens for call in calls])
    v[SUM["output_tokens"]], out = _numbers([call.output_tokens for call in calls])
    v[SUM["cached_tokens"]], _ = _numbers([call.cached_tokens for call in calls])
    v[SUM["cache_write_tokens"]], _ = _numbers([call.cache_write_tokens for call in calls])
    v[SUM["reasoning_tokens"]], _ = _numbers([call.reasoning_tokens for call in calls])
    known = into | out
    v[SUM["usage_calls"]], v[SUM["unknown_usage_calls"]] = known, ~known
    for name in ("input", "output"):
        _logs(v, f"log_{name}", v[SUM[f"{name}_tokens"]] + 1)  # of what is unknown it is 0


def _money(v: Ints, costs: Sequence[Cost]) -> None:
    nano, reasons, gross = zip(*costs, strict=True)
    if None in nano:
        v[SUM["unpriced_calls"]] = [cost is None for cost in nano]
        v[SUM["inconsistent_usage_calls"]] = [
            cost is None and why.name == "INCONSISTENT" for cost, why in zip(nano, reasons, strict=True)
        ]
        nano = tuple([cost or 0 for cost in nano])
    v[SUM["cost_nano"]] = nano
    v[SUM["gross_cost_nano"]] = v[SUM["cost_nano"]] if gross == nano else gross
    v[SUM["priced_calls"]] = 1 - v[SUM["unpriced_calls"]]
    v[SUM["free_calls"]] = v[SUM["priced_calls"]] * (v[SUM["cost_nano"]] == 0)
    _logs(v, "log_cost", np.maximum(v[SUM["cost_nano"]], 1))


def _logs(v: Ints, name: str, amounts: Ints) -> None:
    """Logarithms of amounts from 1 on, and their squares."""
    logs = np.rint(np.log(amounts) / LOG_UNIT)
    v[SUM[name]], v[SUM[f"{name}_square"]] = logs, logs * logs


def _times(v: Ints, calls: Sequence[Call]) -> None:
    latency, v[SUM["latency_count"]] = _numbers([call.latency_ms for call in calls])
    ttft, v[SUM["ttft_count"]] = _numbers([call.ttft_ms for call in calls])
    v[SUM["latency_us"]], v[SUM["ttft_us"]] = np.rint(latency * 1_000), np.rint(ttft * 1_000)
    first = v[SUM["ttft_us"]] * np.array([call.stream is True for call in calls])
    v[SPEED_US] = np.maximum(v[SUM["latency_us"]] - first, 0)

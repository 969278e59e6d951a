"""Calls → columns: each call becomes a vector in the order of tally.SUMS, and the names that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.plan import Cost
from llmvitals.combine.several import Several, scores, tools
from llmvitals.record.call import MODEL_OPERATIONS, Call, dimension
from llmvitals.sketch.tally import SUM, SUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPEED_US: Final = len(SUMS)
"""The row after the sums: µs that the output took to write, 0 where the speed is unknown."""
HEIGHT: Final = SPEED_US + 1
TRUNCATED: Final = frozenset(("length", "max_tokens"))
TOXIC: Final = 0.5


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
    traces: Sequence[str]
    who: tuple[Sequence[Any], ...]
    dimensions: tuple[Sequence[str | None], ...]
    tools: Several
    scores: Several

    def take(self, places: Ints) -> Columns:
        """Only the calls at these places, in this order."""
        at = places.tolist()
        return Columns(
            np.take(self.vectors, places, axis=1),
            self.counted[places],
            [self.ids[i] for i in at],
            [self.traces[i] for i in at],
            tuple([[column[i] for i in at] for column in self.who]),
            tuple([[column[i] for i in at] for column in self.dimensions]),
            self.tools.take(places),
            self.scores.take(places),
        )


def columns(calls: Sequence[Call], costs: Sequence[Cost], dimensions: Sequence[str]) -> Columns:
    """The columns of calls (one at least), of what each costs, and of the dimensions that are asked for.

    What no model answered (retrieval, tool, guardrail, evaluation, agent) is no call: it has no cost and no
    tokens here, because the model calls below it have them. Only a guardrail's block, a toxicity and
    scores are counted, where it brings one.
    """
    v = np.zeros((HEIGHT, len(calls)), np.int64)
    v[SUM["calls"]] = 1
    _flags(v, calls)
    _tokens(v, calls)
    _money(v, costs)
    _times(v, calls)
    operations = [call.operation for call in calls]
    if not MODEL_OPERATIONS.issuperset(operations):
        v[:, [operation not in MODEL_OPERATIONS for operation in operations]] = 0
    _safety(v, calls)
    ids, traces = [call.id for call in calls], [call.trace_id for call in calls]
    scored = scores(calls)
    counted = v[SUM["calls"]] + v[SUM["guardrail_blocks"]] + v[SUM["toxicity_count"]] > 0
    counted[scored.places] = True
    return Columns(
        v,
        counted,
        ids,
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
    finish = [call.finish_reason for call in calls]
    if not TRUNCATED.isdisjoint(finish):
        v[SUM["truncated_calls"]] = [said in TRUNCATED for said in finish]


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


def _times(v: Ints, calls: Sequence[Call]) -> None:
    latency, v[SUM["latency_count"]] = _numbers([call.latency_ms for call in calls])
    ttft, v[SUM["ttft_count"]] = _numbers([call.ttft_ms for call in calls])
    v[SUM["latency_us"]], v[SUM["ttft_us"]] = np.rint(latency * 1_000), np.rint(ttft * 1_000)
    first = v[SUM["ttft_us"]] * np.array([call.stream is True for call in calls])
    v[SPEED_US] = np.maximum(v[SUM["latency_us"]] - first, 0)


def _safety(v: Ints, calls: Sequence[Call]) -> None:
    guardrails = [call.guardrails for call in calls]
    if any(guardrails):
        v[SUM["guardrail_blocks"]] = [
            any(one.verdict == "block" for one in said) if said else False for said in guardrails
        ]
    toxicity, v[SUM["toxicity_count"]] = _numbers([call.toxicity for call in calls])
    v[SUM["toxicity_micro"]] = np.rint(toxicity * 1_000_000)
    v[SUM["toxic_calls"]] = toxicity >= TOXIC

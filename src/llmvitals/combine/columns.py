"""Turns calls into columns: a vector in the order of counters.SUMS for each call, and its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.embeddings import embedding_column
from llmvitals.combine.multi_valued import NOTHING, MultiValued, scores, tools
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.quality import (
    set_endings,
    set_kinds,
    set_retrievals,
    set_stopped,
    set_unscored,
    set_verdicts,
)
from llmvitals.combine.response_ids import ResponseReport, SpanLink, response_reports, span_links
from llmvitals.price.cost import Costs, Reason
from llmvitals.record.call import MODEL_OPERATIONS, Call, dimension
from llmvitals.record.tokens import TokenColumns, token_columns
from llmvitals.sketch.counters import LOG_UNIT, SUM, SUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPEED_US: Final = len(SUMS)
"""The row after the sums: µs that the model took to write the output, 0 if the speed is unknown."""
HEIGHT: Final = SPEED_US + 1
_QUALITY: Final = [
    SUM[name]
    for name in (
        "calls", "guarded_calls", "toxicity_count", "retrieval_calls", "unscored_calls", "embedded_calls",
        "tool_runs", "evaluations", "outcomes",
    )
]  # fmt: skip
"""An event counts if one of these is above 0, or if it has scores."""


_UNPRICED_BY: Final = {
    Reason.INCONSISTENT: "inconsistent_usage_calls",
    Reason.UNKNOWN_TIER: "unknown_tier_calls",
    Reason.PARTIAL_USAGE: "partial_usage_calls",
}
"""The reason why a call has no price → the sum that counts it."""


@dataclass(slots=True)
class Columns:
    """The columns of n calls.

    vectors (HEIGHT × n): what each call adds to counters.SUMS, and SPEED_US. counted: whether anything of the
    event counts (an agent's span does not). contributors: a column for each of top_k.KINDS but "tool".
    dimensions: a column for each dimension of the plan. tools, scores: by name. embedded: the usable vectors,
    if a view has meaning.
    """

    vectors: Ints
    counted: Flags
    ids: Sequence[str]
    responses: Sequence[ResponseReport | None]
    links: Sequence[SpanLink | None]
    traces: Sequence[str]
    contributors: tuple[Sequence[Any], ...]
    dimensions: tuple[Sequence[str | None], ...]
    tools: MultiValued
    scores: MultiValued
    embedded: MultiValued

    @property
    def sources(self) -> Sequence[str]:
        """Who makes each call: its session, else its user, else the call itself."""
        users, sessions, *_ = self.contributors
        return [
            session or user or name for session, user, name in zip(sessions, users, self.ids, strict=True)
        ]

    def take(self, places: Ints) -> Columns:
        """Only the calls at these places, in this order."""
        at = places.tolist()
        return Columns(
            np.take(self.vectors, places, axis=1),
            self.counted[places],
            [self.ids[i] for i in at],
            [self.responses[i] for i in at],
            [self.links[i] for i in at],
            [self.traces[i] for i in at],
            tuple([[column[i] for i in at] for column in self.contributors]),
            tuple([[column[i] for i in at] for column in self.dimensions]),
            self.tools.take(places),
            self.scores.take(places),
            self.embedded.take(places),
        )


def columns(calls: Sequence[Call], plan: CombinePlan) -> Columns:
    """Make the columns of calls, at least one, with their costs and the dimensions of the plan.

    An event of another operation than a model's (retrieval, tool, guardrail, evaluation, agent, outcome) is
    no call. Its cost and tokens are not counted, because the model calls below it have them; its guardrail
    verdicts, toxicity, scores and retrieval are.
    """
    v = np.zeros((HEIGHT, len(calls)), np.int64)
    v[SUM["calls"]] = 1
    _flags(v, calls)
    set_endings(v, calls)
    used = token_columns(calls)
    _tokens(v, calls, used)
    _money(v, plan.assess(calls, used))
    _times(v, calls)
    scored = scores(calls)
    _surroundings(v, calls, scored)
    ids, traces = [call.id for call in calls], [call.trace_id for call in calls]
    embedded, unusable = embedding_column(calls)
    v[SUM["embedded_calls"], embedded.places] = 1
    v[SUM["unscored_calls"], unusable] = 1
    counted: Flags = np.bitwise_or.reduce(v[_QUALITY]) > 0
    counted[scored.places] = True
    return Columns(
        v,
        counted,
        ids,
        response_reports(calls),
        span_links(calls),
        [trace or call_id for trace, call_id in zip(traces, ids, strict=True)],
        (
            [call.user for call in calls],
            [call.session for call in calls],
            [call.key for call in calls],
            [(call.prompt_name, call.prompt_version) for call in calls],
            [call.model for call in calls],
            [(call.error_type, call.app) if call.status == "error" else None for call in calls],
        ),
        tuple([_dimension(calls, name) for name in plan.dimensions]),
        tools(calls),
        scored,
        embedded if plan.meaning else NOTHING,
    )


def _surroundings(v: Ints, calls: Sequence[Call], scored: MultiValued) -> None:
    """Set what surrounds the calls of models, which alone cost: verdicts, searches, tools, scores."""
    operations = [call.operation for call in calls]
    models = MODEL_OPERATIONS.issuperset(operations)
    if not models:
        v[:, [operation not in MODEL_OPERATIONS for operation in operations]] = 0
    set_verdicts(v, calls)
    set_retrievals(v, calls)
    set_stopped(v, calls)
    set_kinds(v, calls, operations)
    v[SUM["evaluations"]] = np.bincount(scored.places, minlength=len(calls))
    if not models:
        labels = [call.labelled is not None for call in calls]
        np.maximum(v[SUM["evaluations"]], labels, out=v[SUM["evaluations"]])
        set_unscored(v, calls)


def _dimension(calls: Sequence[Call], name: str) -> list[str | None]:
    if "." in name:
        return [dimension(call, name) for call in calls]
    return list(map(attrgetter(name), calls))


def _flags(v: Ints, calls: Sequence[Call]) -> None:
    status = [call.status for call in calls]
    if "error" in status:
        v[SUM["errors"]] = [value == "error" for value in status]
    hits = [call.cache_hit for call in calls]
    if True in hits:
        v[SUM["cache_hits"]] = [hit is True for hit in hits]


def _numbers(column: list[float | None]) -> tuple[Floats, Flags]:
    """A column as numbers, 0 for None, and flags of the values that are known."""
    missing = column.count(None)
    if missing == len(column):
        return np.zeros(missing), np.zeros(missing, np.bool_)
    values = np.array(column, np.float64)
    known = ~np.isnan(values)
    return (np.nan_to_num(values), known) if missing else (values, known)


def _tokens(v: Ints, calls: Sequence[Call], used: TokenColumns) -> None:
    tokens = used.columns
    v[SUM["input_tokens"]], v[SUM["output_tokens"]] = tokens.input, tokens.output
    v[SUM["cached_tokens"]], v[SUM["reasoning_tokens"]] = tokens.cached, tokens.reasoning
    v[SUM["cache_write_tokens"]] = [call.cache_write_tokens or 0 for call in calls]
    known = used.input_known | used.output_known
    v[SUM["usage_calls"]], v[SUM["unknown_usage_calls"]] = known, ~known
    for name in ("input", "output"):
        _logs(v, f"log_{name}", v[SUM[f"{name}_tokens"]] + 1)  # ln(1) is 0 where the tokens are unknown


def _money(v: Ints, costs: Costs) -> None:
    known = costs.known
    if not known.all():
        unused = costs.reasons == Reason.UNKNOWN_USAGE
        # Most failed calls without usage are not billed; those that may be are counted as unmetered.
        v[SUM["unpriced_calls"]] = ~known & ~(unused & (v[SUM["errors"]] > 0))
        for reason, name in _UNPRICED_BY.items():
            v[SUM[name]] = costs.reasons == reason
    v[SUM["priced_calls"]] = known
    v[SUM["cost_nano"]], v[SUM["gross_cost_nano"]] = costs.nano, costs.gross
    v[SUM["free_calls"]] = known & (costs.nano == 0)
    _logs(v, "log_cost", np.maximum(costs.nano, 1))


def _logs(v: Ints, name: str, amounts: Ints) -> None:
    """Set the logarithms of amounts (1 or more) and their squares."""
    logs = np.rint(np.log(amounts) / LOG_UNIT)
    v[SUM[name]], v[SUM[f"{name}_square"]] = logs, logs * logs


def _times(v: Ints, calls: Sequence[Call]) -> None:
    latency, v[SUM["latency_count"]] = _numbers([call.latency_ms for call in calls])
    ttft, v[SUM["ttft_count"]] = _numbers([call.ttft_ms for call in calls])
    v[SUM["latency_us"]], v[SUM["ttft_us"]] = np.rint(latency * 1_000), np.rint(ttft * 1_000)
    first = v[SUM["ttft_us"]] * np.array([call.stream is True for call in calls])
    v[SPEED_US] = np.maximum(v[SUM["latency_us"]] - first, 0)

"""Calls → columns: each call becomes a vector in the order of tally.SUMS, and the names that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.plan import Reason
from llmvitals.record.call import MODEL_OPERATIONS, Call, dimension
from llmvitals.sketch.tally import SUM, SUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SPEED_US: Final = len(SUMS)
"""The row after the sums: µs that the output took to write, 0 where the speed is unknown."""
HEIGHT: Final = SPEED_US + 1
TRUNCATED: Final = frozenset(("length", "max_tokens"))
TOXIC: Final = 0.5

_FIELDS: Final = attrgetter(
    "id", "trace_id", "operation", "status", "finish_reason", "cache_hit", "stream", "guardrails",
    "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "latency_ms", "ttft_ms", "toxicity",
    "user", "session", "key", "prompt_name", "prompt_version", "model",
)  # fmt: skip


@dataclass(slots=True)
class Columns:
    """Calls side by side, n of each.

    vectors: HEIGHT × n, what each call adds to tally.SUMS, and SPEED_US. counted: whether anything of it
    counts at all (a tool's span doesn't). who: a column for each of heavy.KINDS. dimensions: one for each of
    the plan's.
    """

    vectors: Ints
    counted: NDArray[np.bool_]
    ids: Sequence[str]
    traces: Sequence[str]
    who: tuple[Sequence[Any], ...]
    dimensions: tuple[Sequence[str | None], ...]

    def take(self, places: Ints) -> Columns:
        """Only the calls at these places, in this order."""
        at = places.tolist()
        return Columns(
            self.vectors[:, places],
            self.counted[places],
            [self.ids[i] for i in at],
            [self.traces[i] for i in at],
            tuple([[column[i] for i in at] for column in self.who]),
            tuple([[column[i] for i in at] for column in self.dimensions]),
        )


def joined(parts: Sequence[Columns]) -> Columns:
    """Parts one after another, one part at least."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        np.concatenate([part.vectors for part in parts], axis=1),
        np.concatenate([part.counted for part in parts]),
        list(chain.from_iterable(part.ids for part in parts)),
        list(chain.from_iterable(part.traces for part in parts)),
        _side_by_side([part.who for part in parts]),
        _side_by_side([part.dimensions for part in parts]),
    )


def _side_by_side(parts: list[tuple[Sequence[Any], ...]]) -> tuple[Sequence[Any], ...]:
    return tuple([list(chain.from_iterable(column)) for column in zip(*parts, strict=True)])


def columns(
    calls: Sequence[Call], costs: Sequence[tuple[int | None, Reason]], dimensions: Sequence[str]
) -> Columns:
    """The columns of calls (one at least), of what each costs, and of the dimensions that are asked for.

    What no model answered (retrieval, tool, guardrail, evaluation, agent) is no call: it has no cost and no
    tokens here, because the model calls below it have them. Only a guardrail's block and a toxicity score
    are counted, where it brings one.
    """
    (ids, traces, operations, status, finish, hits, stream, guardrails,
     tokens_in, cached, written, tokens_out, reasoning, latency, ttft, toxicity,
     user, session, key, prompt, version, model) = zip(*map(_FIELDS, calls), strict=True)  # fmt: skip
    v = np.zeros((HEIGHT, len(calls)), np.int64)
    v[SUM["calls"]] = 1
    v[SUM["errors"]] = [said == "error" for said in status]
    v[SUM["cache_hits"]] = [hit is True for hit in hits]
    v[SUM["truncated_calls"]] = [said in TRUNCATED for said in finish]
    _tokens(v, tokens_in, tokens_out)
    for name, column in (
        ("cached_tokens", cached),
        ("cache_write_tokens", written),
        ("reasoning_tokens", reasoning),
    ):
        v[SUM[name]] = np.nan_to_num(_floats(column))
    _money(v, costs)
    _times(v, _floats(latency), _floats(ttft), stream)
    others = [operation not in MODEL_OPERATIONS for operation in operations]
    if any(others):
        v[:, others] = 0
    _safety(v, guardrails, _floats(toxicity))
    return Columns(
        v,
        v[SUM["calls"]] + v[SUM["guardrail_blocks"]] + v[SUM["toxicity_count"]] > 0,
        ids,
        [trace or own for trace, own in zip(traces, ids, strict=True)] if any(traces) else ids,
        (user, session, key, list(zip(prompt, version, strict=True)), model),
        tuple(
            [
                [dimension(call, name) for call in calls]
                if "." in name
                else list(map(attrgetter(name), calls))
                for name in dimensions
            ]
        ),
    )


def _floats(column: Sequence[float | None]) -> Floats:
    """Numbers, NaN for None."""
    return np.array(column, np.float64)


def _tokens(v: Ints, tokens_in: Sequence[int | None], tokens_out: Sequence[int | None]) -> None:
    into, out = _floats(tokens_in), _floats(tokens_out)
    unknown = np.isnan(into) & np.isnan(out)
    v[SUM["unknown_usage_calls"]] = unknown
    v[SUM["usage_calls"]] = ~unknown
    v[SUM["input_tokens"]] = np.nan_to_num(into)
    v[SUM["output_tokens"]] = np.nan_to_num(out)


def _money(v: Ints, costs: Sequence[tuple[int | None, Reason]]) -> None:
    known = np.array([cost is not None for cost, _ in costs])
    v[SUM["priced_calls"]] = known
    v[SUM["unpriced_calls"]] = ~known
    v[SUM["cost_nano"]] = [cost or 0 for cost, _ in costs]
    if not known.all():
        v[SUM["inconsistent_usage_calls"]] = [
            cost is None and reason.name == "INCONSISTENT" for cost, reason in costs
        ]


def _times(v: Ints, latency: Floats, ttft: Floats, stream: Sequence[bool | None]) -> None:
    for name, millis in (("latency", latency), ("ttft", ttft)):
        v[SUM[f"{name}_count"]] = ~np.isnan(millis)
        v[SUM[f"{name}_us"]] = np.rint(np.nan_to_num(millis) * 1_000)
    first = v[SUM["ttft_us"]] * np.array([said is True for said in stream])
    v[SPEED_US] = np.maximum(v[SUM["latency_us"]] - first, 0)


def _safety(v: Ints, guardrails: Sequence[Any], toxicity: Floats) -> None:
    if any(guardrails):
        v[SUM["guardrail_blocks"]] = [
            bool(said) and any(one.verdict == "block" for one in said) for said in guardrails
        ]
    v[SUM["toxicity_count"]] = ~np.isnan(toxicity)
    v[SUM["toxicity_micro"]] = np.rint(np.nan_to_num(toxicity) * 1_000_000)
    v[SUM["toxic_calls"]] = toxicity >= TOXIC

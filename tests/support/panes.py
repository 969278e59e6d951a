"""Builds panes of one series, and runs them through the rule engine, for tests of alerts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from llmvitals.record.alert import Alert
from llmvitals.record.point import Point
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine, load_engine
from llmvitals.sketch import counters, quantiles
from llmvitals.sketch.scores import whole

SECOND = 1_000_000
PANE = 10 * SECOND
MINUTE = 6
"""Panes of a minute."""


def vitals(
    *,
    cost: float = 0,
    ms: tuple[float, ...] = (),
    tokens: tuple[float, ...] = (),
    names: Mapping[str, Mapping[str, tuple[int, int, int]]] | None = None,
    worst: Mapping[str, tuple[tuple[int, str], ...]] | None = None,
    scores: Mapping[str, tuple[int, ...]] | None = None,
    **sums: int,
) -> Vitals:
    """A pane: cost in dollars, latencies in ms, input tokens of each call, and any other sums.

    names: kind → name → calls, nano-dollars, tokens; the cost without any cache is the same. scores: name →
    number, sum, and optionally the sum of squares, in millionths.
    """
    keys = np.concatenate(
        [
            quantiles.bin_keys("latency_ms", np.array(ms)),
            quantiles.bin_keys("input_tokens_per_call", np.array(tokens)),
        ]
    )
    keys, counts = np.unique(keys, return_counts=True)
    calls = max(len(ms), len(tokens), 1)
    sums = {"calls": calls, "cost_nano": round(cost * 1e9), "latency_count": len(ms), **sums}
    sums |= {
        "latency_us": round(sum(ms) * 1000),
        "input_tokens": int(sum(tokens)),
        "usage_calls": len(tokens),
    }
    return Vitals(
        tuple(sums.get(name, 0) for name in counters.SUMS),
        tuple({"latency_us_max": round(max(ms, default=0) * 1000)}.get(name, 0) for name in counters.MAXIMA),
        (keys.astype(np.uint16), counts.astype(np.int64)),
        {
            kind: {name: (calls, nano, used, nano, 0, 0) for name, (calls, nano, used) in found.items()}
            for kind, found in (names or {}).items()
        },
        dict(worst or {}),
        whole(dict(scores or {})),
    )


def rule_engine(folder: Path, rule: str, pane: int = PANE) -> RuleEngine:
    """The engine for one rule, which is written from its `alert:` on."""
    text = (
        "groups:\n- name: test\n  rules:\n  - "
        + textwrap.indent(textwrap.dedent(rule).strip(), "    ").strip()
    )
    (folder / "rules.yaml").write_text(text + "\n", encoding="utf-8")
    return load_engine(folder, pane)


def alerts(outputs: Iterable[Alert | Point], *, updates: bool = False) -> list[Alert]:
    """The changes of alerts among the outputs; updates: also the records of values that only moved."""
    found = [output for output in outputs if isinstance(output, Alert)]
    return [alert for alert in found if updates or not alert.update]


def points(outputs: Iterable[Alert | Point]) -> list[Point]:
    """The points among the outputs."""
    return [output for output in outputs if isinstance(output, Point)]


def walk(engine: RuleEngine, panes: Mapping[int, Vitals], end: int, **how: Any) -> list[Alert]:
    """All alerts of closed panes up to floor `end`; how: see `rule_outputs`."""
    return alerts(rule_outputs(engine, panes, end, **how))


def rule_outputs(
    engine: RuleEngine,
    panes: Mapping[int, Vitals],
    end: int,
    *,
    cuts: Iterable[int] = (),
    series: tuple[str, ...] = (),
    packed: bool = False,
    ticks: bool = False,
) -> list[Alert | Point]:
    """All alerts and points of closed panes up to floor `end`; cuts: floors at which a call of `advance` ends.

    packed: encode the state as msgpack between calls. ticks: call `advance` at every floor that the state asks for.
    """
    view = engine.views[0].name
    state: dict = {}
    outputs: list[Alert | Point] = []
    start = min(panes, default=end)
    floors = sorted({start, *cuts, end, *(range(start, end) if ticks else ())})
    for low, floor in pairwise([min(floors) - 1, *floors]):
        closed = [(pane, panes[pane]) for pane in sorted(panes) if low <= pane < floor]
        if closed or engine.due(state) <= floor or floor == end:
            outputs += engine.advance(view, series, state, floor=floor, closed=closed)
        if packed:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    return outputs


def transitions(alerts: Iterable[Alert]) -> list[tuple[str, str, int]]:
    """(status, level, pane whose end it is) of each."""
    return [(alert.status, alert.level, alert.at // PANE - 1) for alert in alerts]

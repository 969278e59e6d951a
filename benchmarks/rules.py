"""What rules cost: the panes of a day of calls, and 10,000 panes of series with every kind of rule.

`python -m benchmarks.rules [CALLS] [FOLDER]`: CALLS calls of four apps, six teams and CALLS / 100 users,
spread over a day, go through both stages with the rules of FOLDER (alerts/ by default), in the batches of
`llmvitals replay`. The time is CPU, all in all and within the rule engine. Then the same calls go through
`llmvitals replay`, which runs the stages only for series in which a rule may fire. Then each of 10,000 series
hands two panes to one rule of each kind.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from llmvitals.backtest.replay import BATCH, Replay, replay_lines
from llmvitals.record.log import Logged
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine, load_engine
from llmvitals.settings import Settings
from llmvitals.sketch import counters
from llmvitals.window import SECOND

START: Final = 1_767_571_200_000
"""5 January 2026, in ms."""
DAY: Final = 86_400_000
PANE: Final = 10 * SECOND
SERIES: Final = 10_000
KINDS: Final = """groups:
- name: bench
  rules:
  - {alert: Threshold, threshold: {metric: error_share, above: 5%, by: [app]}}
  - {alert: Absence, absence: {by: [app]}}
  - {alert: Outage, outage: {by: [app]}}
  - {alert: Budget, budget: {limit: 1000, per: month, by: [app], burn_rate: default, forecast: 80%}}
  - {alert: Runaway, runaway: {by: [app], spend: 100, same_tool: 20}}
  - {alert: Drift, drift: {by: [app]}}
  - {alert: Canary, canary: {on: prompt_version, by: [app]}}
  - {alert: Regression, regression: {metric: error_share, by: [app], against: days}}
  - {alert: Change, change: {by: [app]}}
"""


def day(calls: int, seed: int = 1) -> Iterator[bytes]:
    """The calls of a day, in the order of their times."""
    dice = random.Random(seed)
    for number, ts in enumerate(sorted(dice.randrange(DAY) for _ in range(calls))):
        call: dict[str, Any] = {
            "id": f"c{number}",
            "ts": START + ts,
            "model": dice.choice(["gpt-4o-mini", "gpt-5"]),
            "app": dice.choice(["chat", "search", "batch", "agent"]),
            "team": f"t{dice.randrange(6)}",
            "user": f"u{dice.randrange(max(calls // 100, 1))}",
            "session": f"s{ts // 600_000}-{dice.randrange(8)}",
            "latency_ms": dice.lognormvariate(6.5, 0.6),
            "status": "error" if dice.random() < 0.02 else "ok",
            "input_tokens": dice.randrange(100, 3_000),
            "output_tokens": dice.randrange(600),
        }
        yield json.dumps(call).encode()


@contextmanager
def engine_time(spent: list[float]) -> Iterator[None]:
    """Add the CPU seconds of every call of the rule engine."""
    originals = {name: getattr(RuleEngine, name) for name in ("advance", "headroom", "finish")}

    def timed(method: Any) -> Any:
        def run(*args: Any, **options: Any) -> Any:
            began = time.process_time()
            try:
                return method(*args, **options)
            finally:
                spent[0] += time.process_time() - began

        return run

    for name, method in originals.items():
        setattr(RuleEngine, name, timed(method))
    try:
        yield
    finally:
        for name, method in originals.items():
            setattr(RuleEngine, name, method)


def replay(calls: int, folder: Path) -> None:
    """A day of calls through both stages."""
    stages = Replay.of(Settings(alerts=folder).model_copy(update={"default_views": True}))
    now = START + 2 * DAY
    logged = [Logged(offset, now, line) for offset, line in enumerate(day(calls))]
    rules = [0.0]
    with engine_time(rules):
        began = time.process_time()
        for first in range(0, calls, BATCH):
            stages.feed(logged[first : first + BATCH])
        stages.finish()
        took = time.process_time() - began
    print(
        f"{calls:,} calls of a day: {took:.1f} s of CPU, {calls / took:,.0f} calls/s; "
        f"rules {rules[0]:.1f} s, {rules[0] / calls * 1e6:.0f} µs a call"
    )
    began = time.process_time()
    alerts = replay_lines(day(calls), Settings(alerts=folder))["alerts"]
    took = time.process_time() - began
    print(f"llmvitals replay, {len(alerts)} alerts: {took:.1f} s of CPU, {calls / took:,.0f} calls/s")


def kinds() -> None:
    """A pane of 10,000 series, to one rule of each kind, and then the next one."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(KINDS, encoding="utf-8")
        engine = load_engine(Path(folder), PANE)
    sums = {"calls": 4, "usage_calls": 4, "priced_calls": 4, "cost_nano": 40_000, "latency_count": 4}
    pane = Vitals(tuple(sums.get(name, 0) for name in counters.SUMS), (0,) * len(counters.MAXIMA))
    first = START * 1_000 // PANE
    states: list[tuple[str, str, dict[str, Any]]] = [
        (view, f"app-{number}", {}) for view in engine.rules.by_view for number in range(SERIES)
    ]
    for turn in range(2):
        began = time.process_time()
        for view, app, state in states:
            closed = [(first + turn, pane)]
            engine.advance(view, (app,), state, floor=first + turn + 1, closed=closed)
        took = time.process_time() - began
        print(
            f"{SERIES:,} series, pane {turn + 1}, nine kinds: {took:.2f} s, {took / SERIES * 1e6:.0f} µs each"
        )


def main() -> None:
    """Both."""
    gc.set_threshold(100_000, 20, 20)  # as in the commands: see entry.py
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    replay(calls, Path(sys.argv[2]) if len(sys.argv) > 2 else Path("alerts"))
    kinds()


if __name__ == "__main__":
    main()

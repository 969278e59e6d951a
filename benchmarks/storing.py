"""Points a second of each store, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.bench import Bench, Figure, Measurement, Result
from benchmarks.sinks import sink_rate

from llmvitals.errors import LlmvitalsError

NAMES: Final = {"influx": "InfluxDB 1.8", "sqlite": "SQLite"}


def measure(bench: Bench) -> Iterator[Result]:
    """Both stores; one that can't run here has a note."""
    for store in (store for store in NAMES if bench.wants(f"sink-{store}")):
        bench.say(f"sink-{store}")
        try:
            yield Result(f"sink-{store}", sink_rate(store, max(bench.calls // 6, 1_000)))
        except LlmvitalsError as error:
            yield Result(f"sink-{store}", None, note=str(error))


FIGURES: Final = tuple(
    Figure(f"sink-{store}", "points", f"points to {name}") for store, name in NAMES.items()
)
MEASUREMENT: Final = Measurement("sinks", FIGURES, measure)

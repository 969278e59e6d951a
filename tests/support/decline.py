"""Days of a company of four apps, in which four things get worse: what calls are about, a prompt, tone, speed.

Nothing of it is an incident with an edge that a threshold sees: shares double or times creep.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.window import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

START: Final = round(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * SECOND
"""A Monday, midnight."""
LAST: Final = START + 3 * DAY
"""The day on which things get worse."""
QUIET: Final = LAST + 22 * HOUR
"""From here on nothing is wrong any more."""
END: Final = QUIET + 2 * HOUR
A_MINUTE: Final = {"docs": 3, "support": 6, "community": 4, "search": 2}
"""App → its calls."""
TOPICS: Final = 4
"""Topics of docs; the last one is new."""
WIDTH: Final = 32


@dataclass(frozen=True, slots=True)
class Trouble:
    """What gets worse. rule: who has to say so. words: what Slack has to say of it at once. begin, end: µs."""

    rule: str
    app: str
    words: tuple[str, ...]
    begin: int
    end: int

    def on(self, at: int) -> bool:
        return self.begin <= at < self.end


TROUBLES: Final = (
    Trouble("Topics", "docs", ("Drift", "app docs", "new: calls like c"), LAST + 6 * HOUR, LAST + 9 * HOUR),
    Trouble("Version", "support", ("app support", "prompt v8 fails", "as often as v7"), LAST + 6 * HOUR, END),
    Trouble(
        "Toxic",
        "community",
        ("Toxicity share", "app community", "times as much"),
        LAST + 10 * HOUR,
        LAST + 16 * HOUR,
    ),
    Trouble(
        "Slower", "search", ("Latency mean", "app search", "times as much"), LAST + 1 * HOUR, LAST + 21 * HOUR
    ),
)
CREEP: Final = 1.02
"""How many times slower search is after each hour."""


def events(seed: int = 5) -> Iterator[dict[str, Any]]:
    """The calls in the order of their ends; the same seed gives the same calls."""
    teller = _Teller(np.random.default_rng(seed))
    number = 0
    for minute in range(START, END, MINUTE):
        calls = [(app, at) for app, count in A_MINUTE.items() for at in teller.times(minute, count)]
        for app, at in sorted(calls, key=lambda call: call[1]):
            # Nobody compares the versions of a prompt before there are two.
            if app == "support" and at < LAST:
                continue
            number += 1
            yield {"id": f"c{number}", "ts": at // 1_000, "model": "gpt-5-mini", "app": app} | teller.call(
                app, at
            )


def lines(seed: int = 5) -> list[tuple[int, bytes]]:
    """The end of each call (µs), and its JSON."""
    return [(event["ts"] * 1_000, json.dumps(event).encode()) for event in events(seed)]


class _Teller:
    def __init__(self, dice: np.random.Generator) -> None:
        self.dice = dice
        self.centres = dice.normal(size=(TOPICS, WIDTH))
        self.drift, self.version, self.toxic, self.slower = TROUBLES

    def times(self, minute: int, mean: int) -> list[int]:
        """When the calls of a minute end."""
        found: list[int] = (minute + self.dice.integers(MINUTE, size=self.dice.poisson(mean))).tolist()
        return found

    def call(self, app: str, at: int) -> dict[str, Any]:
        """What a call of an app says at a time."""
        said: dict[str, Any] = getattr(self, app)(at)
        return said

    def docs(self, at: int) -> dict[str, Any]:
        new = self.drift.on(at) and self.dice.random() < 0.4
        topic = TOPICS - 1 if new else int(self.dice.integers(TOPICS - 1))
        vector: NDArray[np.float64] = self.centres[topic] + 0.5 * self.dice.normal(size=WIDTH)
        return {
            "embedding": {"model": "e5", "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
        }

    def support(self, at: int) -> dict[str, Any]:
        worse = self.version.on(at) and self.dice.random() < 0.5
        failed = self.dice.random() < (0.2 if worse else 0.1)
        said = {"prompt_name": "answer", "prompt_version": "v8" if worse else "v7"}
        return said | ({"status": "error", "error_type": "bad_json"} if failed else {})

    def community(self, at: int) -> dict[str, Any]:
        toxic = self.dice.random() < (0.4 if self.toxic.on(at) else 0.2)
        return {"toxicity": 0.9 if toxic else 0.1}

    def search(self, at: int) -> dict[str, Any]:
        hours = (at - self.slower.begin) / HOUR if self.slower.on(at) else 0
        return {"latency_ms": round(float(self.dice.gamma(8, 100)) * CREEP**hours, 3)}

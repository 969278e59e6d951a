"""The demo's traffic: a real trace of LLM calls, played as the calls of a company with three incidents."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE: Final = "data/azure_llm_inference_2023_code.csv"
SPEED: Final = 10
"""Seconds of trace in a second of the demo."""


@dataclass(frozen=True, slots=True)
class App:
    """An application of the company. share: its part of all calls."""

    name: str
    team: str
    provider: str
    model: str
    prompt: str
    version: str
    share: float


APPS: Final = (
    App("support-bot", "support", "openai", "gpt-5-mini", "answer", "v7", 0.40),
    App("code-review", "platform", "anthropic", "claude-sonnet-4-5", "review", "v3", 0.30),
    App("site-search", "search", "google", "gemini-2.5-flash", "rewrite", "v12", 0.25),
    App("research-agent", "research", "openai", "gpt-5", "plan", "v2", 0.05),
)


@dataclass(frozen=True, slots=True)
class Script:
    """When each incident begins and ends, as shares of the demo's time."""

    stuffing: float = 0.25
    slow: float = 0.40
    failing: float = 0.55
    recovered: float = 0.80
    runaway: float = 0.60


INCIDENTS: Final = (
    "answer@v8 of support-bot stuffs 8,000 tokens into each call",
    "anthropic becomes slow, and then fails",
    "a session of research-agent runs away",
)
"""The incidents of the script, in the order of their beginnings."""


def trace() -> list[tuple[int, int, int]]:
    """The calls of the trace: µs since its first call, context tokens, generated tokens."""
    with files("llmvitals.local").joinpath(TRACE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in rows]
    return [
        (
            round((at - times[0]).total_seconds() * SECOND),
            int(row["ContextTokens"]),
            int(row["GeneratedTokens"]),
        )
        for at, row in zip(times, rows, strict=True)
    ]


def company(start: int, length: int, seed: int = 7, script: Script | None = None) -> Iterator[dict[str, Any]]:
    """The company's calls in the order of their ends, as native events.

    start: µs since 1970 of the first call; length: µs of event time; the same seed gives the same calls.
    """
    maker = _Calls(start, length, random.Random(seed), script or Script())
    calls = trace()
    span = calls[-1][0] + SECOND
    events = []
    for turn in range(length // span + 1):
        for at, context, generated in calls:
            if turn * span + at < length:
                events.append(maker.call(turn * span + at, context, generated))
    events.extend(maker.runaway())
    return iter(sorted((event for event in events if event["ts"] * 1000 < start + length), key=_end))


def _end(event: dict[str, Any]) -> tuple[int, str]:
    return event["ts"], event["id"]


class _Calls:
    """Makes calls; their ids are counted, so the same seed gives the same ids."""

    def __init__(self, start: int, length: int, dice: random.Random, script: Script) -> None:
        self.start, self.length, self.dice, self.script = start, length, dice, script
        self.count = 0

    def call(self, at: int, context: int, generated: int) -> dict[str, Any]:
        """One call of the trace, `at` µs after the start."""
        app = self.dice.choices(APPS, [app.share for app in APPS])[0]
        moment = at / self.length
        version = app.version
        if app.prompt == "answer" and moment > self.script.stuffing:
            version, context = "v8", context + 8_000
        event = self._event(app, at, context, generated) | {"prompt_version": version}
        if app.provider == "anthropic" and self.script.slow < moment < self.script.recovered:
            self._degrade(event, moment)
        return event

    def runaway(self) -> Iterator[dict[str, Any]]:
        """An agent whose context grows with each of its calls, twice a second of event time."""
        app = APPS[3]
        at, context = round(self.script.runaway * self.length), 6_000
        while at < self.length:
            event = self._event(app, at, context, 700)
            event |= {
                "session": "run-4711",
                "user": "u-13",
                "agent": "researcher",
                "trace_id": "trace-run-4711",
            }
            yield event
            at += SECOND // 2
            context = min(context + 900, 180_000)

    def _degrade(self, event: dict[str, Any], moment: float) -> None:
        event["latency_ms"] = round(event["latency_ms"] * 6, 3)
        event["ttft_ms"] = round(event["ttft_ms"] * 6, 3)
        if moment > self.script.failing and self.dice.random() < 0.7:
            for field in ("output_tokens", "ttft_ms", "input_tokens", "cached_tokens"):
                event.pop(field, None)
            event |= {"status": "error", "error_type": "overloaded_error"}

    def _event(self, app: App, at: int, context: int, generated: int) -> dict[str, Any]:
        self.count += 1
        dice = self.dice
        first = dice.lognormvariate(5.6, 0.3) + context * 0.05
        latency = first + generated * dice.lognormvariate(2.7, 0.2)
        user = f"u-{dice.randrange(40)}"
        return {
            "id": f"call-{self.count}",
            "ts": (self.start + at) // 1000,
            "environment": "prod",
            "app": app.name,
            "team": app.team,
            "provider": app.provider,
            "model": app.model,
            "prompt_name": app.prompt,
            "prompt_version": app.version,
            "user": user,
            "session": f"s-{user[2:]}-{at // (600 * SECOND)}",
            "key": f"{app.team}-key",
            "trace_id": f"{dice.getrandbits(64):016x}",
            "input_tokens": context,
            "cached_tokens": context // 4 if dice.random() < 0.3 else 0,
            "output_tokens": generated,
            "latency_ms": round(latency, 3),
            "ttft_ms": round(first, 3),
            "stream": True,
            "toxicity": round(min(1.0, dice.expovariate(25)), 4),
        }

"""A week of a company's LLM calls: 20 teams, 200 users, days and nights, and twelve things that go wrong.

Times come from the Azure trace: its bursts, laid along a week whose working hours are busy and whose nights
and week-ends are not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.local.traffic import trace
from llmvitals.window import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

START: Final = round(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * SECOND
"""A Monday, midnight."""
WEEK: Final = 7 * DAY
CALLS: Final = 100_000
TEAMS: Final = (
    "support", "search", "platform", "ads", "translate", "summary", "research", "sales", "legal", "finance",
    "hr", "mobile", "maps", "video", "payments", "risk", "growth", "docs", "infra", "labs",
)  # fmt: skip
MODELS: Final = (
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-flash"),
)


@dataclass(frozen=True, slots=True)
class Incident:
    """What goes wrong. begin, end: µs. rule: what has to speak. labels: some of the alert's.

    within: how long after the beginning it has to be heard, µs. over: how long after the end it may still
    fire.
    """

    number: int
    rule: str
    labels: dict[str, str]
    begin: int
    end: int
    within: int
    over: int = HOUR


def _at(day: int, hour: float) -> int:
    return START + day * DAY + round(hour * HOUR)


MON, TUE, WED, THU, FRI, SAT = range(6)
INCIDENTS: Final = (
    Incident(1, "ContextStuffing", {"app": "support-bot", "prompt_version": "v8"}, _at(MON, 10), _at(MON, 12),
             45 * MINUTE),
    Incident(2, "ProviderOutage", {"provider": "anthropic"}, _at(MON, 15), _at(MON, 16), 15 * MINUTE),
    Incident(3, "SlowAnswers", {"model": "gpt-5-mini"}, _at(TUE, 9.5), _at(TUE, 11), 30 * MINUTE),
    Incident(4, "RunawaySession", {"session": "run-4711"}, _at(TUE, 14), _at(TUE, 14.5), 10 * MINUTE),
    Incident(5, "RunawayUser", {"user": "u-77"}, _at(WED, 2), _at(WED, 4), 30 * MINUTE, 2 * HOUR),
    Incident(6, "UnpricedCalls", {"model": "house-model-1"}, _at(WED, 11), _at(WED, 13), 45 * MINUTE),
    Incident(7, "CacheWorsens", {"app": "search-app"}, _at(WED, 15), _at(WED, 17), HOUR),
    Incident(8, "TeamDailyBudget", {"team": "ads"}, _at(THU, 9), _at(THU, 13), 4 * HOUR, DAY),
    Incident(9, "GuardrailBlocks", {"app": "platform-app"}, _at(THU, 14), _at(THU, 16), HOUR),
    Incident(10, "Silent", {"app": "translate-app"}, _at(FRI, 9), _at(FRI, 11), 45 * MINUTE),
    Incident(11, "ProviderOutage", {"provider": "google"}, _at(FRI, 14), _at(FRI, 15), 20 * MINUTE),
    Incident(12, "TruncatedAnswers", {"app": "summary-app"}, _at(SAT, 10), _at(SAT, 16), 5 * HOUR),
)  # fmt: skip
"""In the order of their times, one after the other."""

_SHARES: Final = np.array([1 / (rank + 3) for rank in range(len(TEAMS))])


def rhythm(moment: int) -> float:
    """How busy the company is at a time (µs), 1 at its busiest."""
    at = datetime.fromtimestamp(moment / SECOND, UTC)
    hour = at.hour + at.minute / 60
    day = 0.25 + 0.75 * float(np.exp(-(((hour - 13.5) / 4) ** 2)))
    return day * (0.45 if at.weekday() >= 5 else 1.0)


def times(calls: int = CALLS) -> np.ndarray:
    """When the week's calls end, µs, ascending: in each hour a share of the trace's, which lasts an hour."""
    dice = np.random.default_rng(1)
    arrivals = np.array([at for at, _, _ in trace()])
    hours = [START + hour * HOUR for hour in range(WEEK // HOUR)]
    busy = np.array([rhythm(hour + HOUR // 2) for hour in hours])
    shares = busy * calls / (busy.sum() * len(arrivals))
    kept = []
    for hour, share in zip(hours, shares.tolist(), strict=True):
        # Begun elsewhere each hour, so that the trace's own pauses do not come at fixed times.
        laid = (arrivals + dice.integers(HOUR)) % HOUR
        kept.append(hour + laid[dice.random(len(laid)) < share])
    return np.sort(np.concatenate(kept))


def week(seed: int = 4, calls: int = CALLS) -> Iterator[dict[str, Any]]:
    """The calls of the week in the order of their ends; the same seed gives the same calls."""
    teller = _Teller(random.Random(seed))
    ends = times(calls).tolist()
    teams = np.random.default_rng(seed).choice(len(TEAMS), size=len(ends), p=_SHARES / _SHARES.sum())
    events = []
    tokens = [(context, generated) for _, context, generated in trace()]
    for number, (at, team) in enumerate(zip(ends, teams.tolist(), strict=True)):
        if (event := teller.call(at, team, *tokens[number % len(tokens)])) is not None:
            events.append(event)
    events.extend(teller.runaway_session())
    events.extend(teller.runaway_user())
    yield from sorted(events, key=lambda event: (event["ts"], event["id"]))


class _Teller:
    """Makes calls. The n-th incident is on or off at a call's time."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.count = dice, 0

    def on(self, number: int, at: int) -> bool:
        incident = INCIDENTS[number - 1]
        return incident.begin <= at < incident.end

    def call(self, at: int, team: int, context: int, generated: int) -> dict[str, Any] | None:
        """One call, or None where the caller is silent."""
        name = TEAMS[team]
        if name == "translate" and self.on(10, at):
            return None
        provider, model = MODELS[team % len(MODELS)]
        if name == "risk" and self.on(6, at):
            model = "house-model-1"
        stuffed = name == "support" and self.on(1, at)
        if stuffed:
            context += 12_000
        if name == "ads" and self.on(8, at):
            context *= 12
        event = self.event(at, team, context, generated)
        event |= {"provider": provider, "model": model}
        if stuffed:
            event["prompt_version"] = "v8"
        self.trouble(event, at, name)
        return event

    def trouble(self, event: dict[str, Any], at: int, team: str) -> None:
        """What the incidents do to a call."""
        dice, provider = self.dice, event["provider"]
        failing = 0.01
        if provider == "anthropic" and self.on(2, at):
            failing = 0.85
        if provider == "google" and self.on(11, at):
            failing = 0.4
        if dice.random() < failing:
            for field in ("output_tokens", "ttft_ms", "input_tokens", "cached_tokens"):
                event.pop(field, None)
            event |= {"status": "error", "error_type": "overloaded_error", "finish_reason": "error"}
            return
        if event["model"] == "gpt-5-mini" and self.on(3, at):
            event["latency_ms"] = round(event["latency_ms"] * 6, 3)
        if team == "search" and self.on(7, at):
            event["cached_tokens"] = 0
        if team == "platform" and self.on(9, at) and dice.random() < 0.5:
            event["guardrails"] = [{"name": "pii", "verdict": "block"}]
        if team == "summary" and self.on(12, at) and dice.random() < 0.7:
            event["finish_reason"] = "length"

    def runaway_session(self) -> Iterator[dict[str, Any]]:
        """An agent that asks for the same tool again and again, with ever more context."""
        incident, context = INCIDENTS[3], 20_000
        for at in range(incident.begin, incident.end, 6 * SECOND):
            yield self.event(at, TEAMS.index("research"), context, 700) | {
                "model": "gpt-5", "provider": "openai", "session": "run-4711", "user": "u-13",
                "agent": "researcher", "trace_id": "trace-run-4711",
                "tools": [{"name": "search", "arguments_hash": "5f3a"}],
            }  # fmt: skip
            context = min(context + 900, 180_000)

    def runaway_user(self) -> Iterator[dict[str, Any]]:
        """A script at night, each call a session of its own."""
        incident = INCIDENTS[4]
        for at in range(incident.begin, incident.end, 8 * SECOND):
            yield self.event(at, TEAMS.index("finance"), 60_000, 900) | {
                "model": "gpt-5", "provider": "openai", "user": "u-77", "session": f"night-{self.count}",
            }  # fmt: skip

    def event(self, at: int, team: int, context: int, generated: int) -> dict[str, Any]:
        """An ordinary call of a team's app."""
        self.count += 1
        dice, name = self.dice, TEAMS[team]
        first = dice.lognormvariate(5.6, 0.3) + min(context, 20_000) * 0.02
        user = team * 10 + dice.randrange(10)
        return {
            "id": f"call-{self.count}",
            "ts": at // 1000,
            "environment": "prod",
            "app": f"{name}-app" if name != "support" else "support-bot",
            "team": name,
            "prompt_name": "answer",
            "prompt_version": "v7",
            "user": f"u-{user}",
            "session": f"s-{user}-{at // (20 * MINUTE)}",
            "key": f"{name}-key",
            "trace_id": f"{dice.getrandbits(64):016x}",
            "input_tokens": context,
            "cached_tokens": context // 2,
            "output_tokens": generated,
            "latency_ms": round(first + generated * dice.lognormvariate(2.0, 0.2), 3),
            "ttft_ms": round(first, 3),
            "finish_reason": "stop",
            "stream": True,
        }

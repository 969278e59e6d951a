"""The calls of a company, day by day; always the same for a company, a seed and a number of calls a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from benchmarks.ordinary.company import MODELS, App
from benchmarks.ordinary.extra import extra
from benchmarks.ordinary.life import CANARY, DAY, HOUR, ROLLOUT, Life
from benchmarks.ordinary.random_company import company

if TYPE_CHECKING:
    from benchmarks.ordinary.problems import Problem
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

START: Final = 1_767_571_200
"""Monday 2026-01-05, 00:00 UTC."""
WIDTH: Final = 8
TOPICS: Final = 12
BURSTS: Final = 0.5
"""A day and company: a user who makes 2 % of a day's calls within minutes."""


class Traffic:
    """One company. calls: a weekday, in the mean; a call's time is its end."""

    def __init__(self, number: int, seed: int, calls: int) -> None:
        self.company, self.calls = company(number), calls
        self.life = Life(self.company, seed, number)
        self._root = [seed, number, calls]
        self.topics = np.random.default_rng([*self._root, 2]).normal(0, 1, (TOPICS + 1, WIDTH))

    def day(self, day: int, problem: Problem | None = None, begin: float = 0.0) -> list[bytes]:
        """Events of a day in the order of their times, one JSON each.

        problem: happens from `begin` on, seconds since the beginning.
        """
        events: list[tuple[float, dict[str, Any]]] = []
        for place, app in enumerate(self.company.apps):
            dice = np.random.default_rng([*self._root, 3, day, place])
            events += self._app(app, day, dice, problem if place == 0 else None, begin)
        if problem is not None:
            events += extra(self.company, problem, begin, day, self.calls)
        events.sort(key=lambda event: event[0])
        without = self.company.without
        lines = []
        for place, (at, event) in enumerate(events):
            fields = {
                name: value for name, value in event.items() if value is not None and name not in without
            }
            fields["id"] = f"{day}-{place}" if problem is None else f"{problem.name}-{day}-{place}"
            fields["ts"] = int((START + at) * 1000)
            lines.append(orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY))
        return lines

    def _app(
        self, app: App, day: int, dice: np.random.Generator, problem: Problem | None, begin: float
    ) -> list[tuple[float, dict[str, Any]]]:
        at, session = self._times(app, day, dice)
        calls = _Calls(self, app, at, session, dice)
        change = {} if problem is None else problem.factor
        columns = calls.columns(change, (at >= begin) & (problem is not None))
        gone = problem is not None and problem.name == "absence"
        names = list(columns)
        return [
            (float(moment), dict(zip(names, values, strict=True)))
            for moment, *values in zip(at.tolist(), *columns.values(), strict=True)
            if not (gone and moment >= begin)
        ]

    def _times(self, app: App, day: int, dice: np.random.Generator) -> tuple[Floats, Ints]:
        """When calls end (s), and the number of the session that each belongs to."""
        weekend = app.weekend if day % 7 >= 5 else 1.0
        wanted = self.calls * app.share * weekend * np.exp(self.life.busy[app.name][day])
        hours = np.array(app.hours) * np.exp(dice.normal(0, 0.1, 24))
        starts = dice.choice(24, dice.poisson(wanted / app.session), p=hours / hours.sum())
        begins = (starts + dice.random(len(starts))) * HOUR
        lengths = dice.geometric(1 / app.session, len(begins))
        if dice.random() < BURSTS * app.share:
            begins, lengths = (
                np.append(begins, dice.uniform(0, DAY)),
                np.append(lengths, int(wanted * 0.02) + 5),
            )
        session = np.repeat(np.arange(len(begins)), lengths)
        gaps = dice.exponential(np.where(lengths > 10 * app.session, 3.0, 40.0)[session])
        first = np.cumsum(lengths) - lengths
        run = np.cumsum(gaps)
        at = begins[session] + run - (run[first] - gaps[first])[session]
        at = np.where(at < DAY, at, at % DAY)
        return at + day * DAY, session


class _Calls:
    """The fields of an app's calls of a day, as columns."""

    def __init__(
        self, traffic: Traffic, app: App, at: Floats, session: Ints, dice: np.random.Generator
    ) -> None:
        self.traffic, self.app, self.at, self.session, self.dice = traffic, app, at, session, dice
        self.count, self.sessions = len(at), int(session.max(initial=-1)) + 1

    def columns(self, factor: Any, after: NDArray[np.bool_]) -> dict[str, list[Any]]:
        """Field → values; factor: see Problem; after: the calls that the problem happens to."""

        def times(name: str) -> Floats:
            return np.where(after, factor.get(name, 1.0), 1.0)

        app, dice = self.app, self.dice
        models = list(app.models)
        chosen = dice.choice(len(models), self.sessions, p=list(app.models.values()))[self.session]
        users = (dice.pareto(1.1, self.sessions) * 5).astype(np.int64) % max(20, self.traffic.calls // 40)
        version, worse = self._versions(factor, after)
        tokens = self._lognormal(*app.tokens) * times("money")
        output = self._lognormal(*app.output) * times("money")
        hit = dice.random(self.count) < app.cache * times("cache")
        cached = np.where(hit, tokens * dice.uniform(0.75, 0.97, self.count), 0)
        failed = self._failed(
            models, chosen, app.errors * times("errors") * np.where(worse, factor.get("canary", 1), 1)
        )
        first, whole = self._times_of(models, chosen, tokens, output, times)
        spoken = ~failed
        return {
            "app": [app.name] * self.count,
            "team": [app.team] * self.count,
            "environment": ["prod"] * self.count,
            "prompt_name": [f"{app.name}-prompt"] * self.count,
            "prompt_version": [f"v{number}" for number in version.tolist()],
            "provider": [MODELS[models[code]].provider for code in chosen.tolist()],
            "model": [models[code] for code in chosen.tolist()],
            "user": [f"{app.name}-u{user}" for user in users[self.session].tolist()],
            "session": [f"{app.name}-{int(self.at[0] // DAY)}-{one}" for one in self.session.tolist()]
            if self.count
            else [],
            "input_tokens": _where(spoken, tokens.astype(int)),
            "cached_tokens": _where(spoken, cached.astype(int)),
            "output_tokens": _where(spoken, np.maximum(output, 1).astype(int)),
            "latency_ms": np.round(np.where(spoken, whole, whole * 0.3), 1).tolist(),
            "ttft_ms": _where(spoken, np.round(first, 1)),
            "status": np.where(spoken, "ok", "error").tolist(),
            "error_type": _where(failed, np.full(self.count, "overloaded_error")),
            **self._quality(spoken, times),
            **self._content(after, factor.get("topic", 0.0)),
        }

    def _quality(self, spoken: NDArray[np.bool_], times: Any) -> dict[str, list[Any]]:
        app, dice, count = self.app, self.dice, self.count
        draw = dice.random(count)
        refused, cut = app.refusals * times("refusals"), app.truncated
        reason = np.where(draw < refused, "content_filter", np.where(draw < refused + cut, "length", "stop"))
        toxic = np.where(
            dice.random(count) < app.toxic,
            dice.uniform(0.55, 0.95, count),
            np.minimum(dice.exponential(0.04, count), 0.45),
        )
        # Calls of a session are judged alike.
        mood = dice.normal(0, 0.1, self.sessions)[self.session]
        helpful = np.clip(dice.normal(0.8, 0.17, count) + mood, 0, 1) * times("scores")
        judged = (dice.random(count) < app.judged) & spoken
        blocked = dice.random(count) < app.blocked
        return {
            "finish_reason": _where(spoken, reason),
            "toxicity": _where(spoken, np.round(toxic, 3)),
            "scores": [
                {"helpful": score} if told else None
                for score, told in zip(np.round(helpful, 3).tolist(), judged.tolist(), strict=True)
            ],
            "guardrails": [
                [{"name": "pii", "verdict": "block" if block else "pass"}] for block in blocked.tolist()
            ],
        }

    def _content(self, after: NDArray[np.bool_], share: float) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        if self.app.embedded:
            topics = self.traffic.topics
            weights = np.arange(TOPICS, 0, -1.0)
            topic = self.dice.choice(TOPICS, self.sessions, p=weights / weights.sum())[self.session]
            topic = np.where(after & (self.dice.random(self.count) < share), TOPICS, topic)
            vectors = topics[topic] + self.dice.normal(0, 0.5, (self.count, WIDTH))
            columns["embedding"] = [
                {"model": "e8", "vector": vector} for vector in np.round(vectors, 3).tolist()
            ]
        if self.app.tools:
            hashes = self.dice.integers(0, 1 << 40, self.count).tolist()
            names = self.dice.choice(["search", "read", "write", "run"], self.count).tolist()
            columns["tools"] = [
                [{"name": name, "arguments_hash": f"{one:x}"}]
                for name, one in zip(names, hashes, strict=True)
            ]
        return columns

    def _versions(self, factor: Any, after: NDArray[np.bool_]) -> tuple[Ints, NDArray[np.bool_]]:
        """The prompt version of each call; and which of them have the worse one, of a problem."""
        sticky = self.dice.random(self.sessions)[self.session]
        drawn = self.dice.random(self.count) if self.traffic.company.rollout == "random" else sticky
        number, since = self.traffic.life.version(self.app.name, float(self.at.max(initial=0)))
        version = np.where(self.at >= since, number, max(number - 1, 0))
        # One roll-out at a time: an ordinary one is over when the worse version comes.
        if self.traffic.company.rollout != "flip" and "canary" not in factor:
            held = (self.at >= since) & (self.at < since + ROLLOUT) & (drawn >= CANARY)
            version = np.where(held, max(number - 1, 0), version)
        worse = after & (drawn < 0.2) if "canary" in factor else np.zeros(self.count, bool)
        return np.where(worse, number + 100, version), worse

    def _failed(self, models: list[str], chosen: Ints, errors: Floats) -> NDArray[np.bool_]:
        """Half of the errors come call by call; half come in sessions that fail in every second call."""
        sessions = self.dice.random(self.sessions)[self.session] < errors
        failed = self.dice.random(self.count) < np.where(sessions, 0.5, errors * 0.5)
        draw, life = self.dice.random(self.count), self.traffic.life
        low, high = float(self.at.min(initial=0)), float(self.at.max(initial=0))
        for trouble in (*life.outages, *life.storms):
            if trouble.end >= low and trouble.begin <= high:
                mine = [code for code, name in enumerate(models) if MODELS[name].provider == trouble.provider]
                there = (self.at >= trouble.begin) & (self.at < trouble.end) & np.isin(chosen, mine)
                failed |= there & (draw < trouble.share)
        return failed

    def _times_of(
        self, models: list[str], chosen: Ints, tokens: Floats, output: Floats, times: Any
    ) -> tuple[Floats, Floats]:
        """ms until the first token, and of the whole call; one in two hundred takes several times as long."""
        dice, life = self.dice, self.traffic.life
        first = np.array([MODELS[name].first for name in models])[chosen]
        each = np.array([MODELS[name].token for name in models])[chosen]
        slow = np.ones(self.count)
        for code, name in enumerate(models):
            mine = chosen == code
            slow[mine] = life.factor(MODELS[name].provider, self.at[mine])
        slow = slow * np.where(dice.random(self.count) < 0.005, dice.uniform(3, 10, self.count), 1)
        mine = np.where(chosen == 0, times("latency"), 1.0)
        begun = (
            (first * np.exp(dice.normal(0, 0.35, self.count)) + tokens * 0.03) * slow * mine * times("ttft")
        )
        return begun, begun + output * each * np.exp(dice.normal(0, 0.2, self.count)) * slow * mine

    def _lognormal(self, median: float, sigma: float) -> Floats:
        """Part of the deviation is the session's."""
        shared = self.dice.normal(0, 0.5 * sigma, self.sessions)[self.session]
        values: Floats = median * np.exp(shared + self.dice.normal(0, 0.85 * sigma, self.count))
        return np.clip(values, 1, 200_000)


def _where(there: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    """The values, None where they are not there."""
    return [value if known else None for value, known in zip(values.tolist(), there.tolist(), strict=True)]

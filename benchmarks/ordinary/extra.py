"""Calls that a problem adds: an agent that loops, a job that burns money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.ordinary.life import DAY, HOUR

if TYPE_CHECKING:
    from benchmarks.ordinary.company import Company
    from benchmarks.ordinary.problems import Problem

LOOP: Final = 12.0
"""Seconds between two calls of the agent."""
BURN: Final = {20_000: 160.0, 3_000: 160.0, 500: 16.0}
"""Calls a day → dollars an hour that the job spends: some times the limit of an hour."""


def extra(
    company: Company, problem: Problem, begin: float, day: int, calls: int
) -> list[tuple[float, dict[str, Any]]]:
    """Times (s) and events of the day; the agent stops after two hours, the job after a day."""
    if problem.name == "loop":
        app = next(app for app in company.apps if app.tools)
        event = _event(app.name, app.team, next(iter(app.models)))
        event |= {"session": "looping", "tools": [{"name": "search", "arguments_hash": "ab12"}]}
        return _every(LOOP, 2 * HOUR, event, (begin, day))
    if problem.name == "burn":
        app = company.main
        dollars = BURN[min(BURN, key=lambda size: abs(size - calls))]
        event = _event(app.name, app.team, next(iter(app.models))) | {"cost_usd": dollars / 60, "user": "job"}
        return _every(60.0, DAY, event, (begin, day))
    return []


def _event(app: str, team: str, model: str) -> dict[str, Any]:
    return {
        "app": app, "team": team, "model": model, "status": "ok", "prompt_name": f"{app}-job",
        "input_tokens": 4_000, "output_tokens": 200, "latency_ms": 2_500.0, "user": "nobody",
    }  # fmt: skip


def _every(
    seconds: float, lasting: float, event: dict[str, Any], when: tuple[float, int]
) -> list[tuple[float, dict[str, Any]]]:
    begin, day = when
    count = int(lasting / seconds)
    times = (begin + place * seconds for place in range(count))
    return [(at, dict(event)) for at in times if day * DAY <= at < (day + 1) * DAY]

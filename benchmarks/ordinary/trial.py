"""One company with one seed: quiet weeks, and from the same learned state each problem by itself."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from benchmarks.ordinary.life import DAY, HOUR
from benchmarks.ordinary.problems import PROBLEMS, Problem
from benchmarks.ordinary.traffic import START, Traffic

from llmvitals.backtest.episodes import Episode, episodes
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.record.log import Logged
from llmvitals.settings import Settings
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

LEARNED: Final = 14
"""Days before the problems: two weeks."""
AFTER: Final = 1 * HOUR
"""Alerts until so long after an outage are about it."""
BATCH: Final = 4_096
SOURCE: Final = "calls"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. calls: a day. weeks: quiet ones, of which the first two are learned from, too."""

    calls: int
    weeks: int
    folder: Path
    problems: tuple[str, ...] = tuple(problem.name for problem in PROBLEMS)


@dataclass(slots=True)
class Found:
    """What a trial has found.

    alarms: rule → false alarms of the quiet weeks. outages: rule → alarms that were about an outage. hours:
    problem → hours until a rule of it fired, None: not within its limit. by: problem → that rule. seen: of
    the false alarms: day, rule, labels.
    """

    company: str
    seed: int
    calls: int
    weeks: int
    alarms: dict[str, int] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    hours: dict[str, float | None] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[float, str, str]] = field(default_factory=list)


def run(number: int, seed: int, plan: Plan) -> Found:
    """Run a company (its number) with a seed."""
    traffic = Traffic(number, seed, plan.calls)
    stages = _Stages(plan.folder)
    found = Found(traffic.company.name, seed, plan.calls, plan.weeks)
    for day in range(LEARNED):
        stages.feed(traffic.day(day))
    _problems(traffic, stages, seed, (plan, found))
    for day in range(LEARNED, plan.weeks * 7):
        stages.feed(traffic.day(day))
    stages.end()
    for episode in stages.episodes():
        _count(found, episode, traffic)
    return found


class _Stages:
    """The stages with the rules of a folder: those of a backtest, whose alerts are those of the worker."""

    def __init__(self, folder: Path) -> None:
        # No calls have texts, and nothing of this machine's settings counts.
        self._stages = Evaluator.of(Settings(alerts=folder), [folder], {SOURCE: 1})
        self._offset = 0

    def feed(self, lines: list[bytes]) -> None:
        """Read calls; they are in the order of their times."""
        for first in range(0, len(lines), BATCH):
            batch = lines[first : first + BATCH]
            # Nothing is refused for its time: the record's own is long past it.
            self._stages.feed(
                SOURCE, 0, [Logged(self._offset + place, 1 << 42, line) for place, line in enumerate(batch)]
            )
            self._offset += len(batch)

    def end(self) -> None:
        """No more calls come."""
        self._stages.end(SOURCE, 0)

    def only(self, names: Collection[str]) -> None:
        """From now on evaluate what these rules need, and little else."""
        (folder,) = self._stages.folders
        folder.views[:] = [view for view in folder.views if view.rules & set(names)]

    def episodes(self) -> list[Episode]:
        """All alerts so far."""
        return episodes(self._stages.folders[0].alerts)


def _problems(traffic: Traffic, stages: _Stages, seed: int, into: tuple[Plan, Found]) -> None:
    """Each in a process of its own, which begins with what has been learned so far."""
    plan, found = into
    for number, problem in enumerate(PROBLEMS):
        if problem.name not in plan.problems or not problem.happens_to(traffic.company):
            continue
        hour = np.random.default_rng([seed, number, 4]).uniform(0, 9) + traffic.company.opens
        seen = _forked(lambda problem=problem, hour=hour: _problem(traffic, stages, problem, hour))
        found.hours[problem.name], found.by[problem.name] = seen


def _problem(traffic: Traffic, stages: _Stages, problem: Problem, hour: float) -> tuple[float | None, str]:
    """Hours until it is found, and by which rule."""
    begin, limit = LEARNED * DAY + hour * HOUR, problem.limit(traffic.calls)
    stages.only(problem.rules)
    at = int((START + begin) * SECOND)
    for day in range(LEARNED, LEARNED + int((hour + limit) // 24) + 1):
        stages.feed(traffic.day(day, problem, begin))
        if day + 1 > LEARNED + (hour + limit) / 24:
            stages.end()
        mine = [one for one in stages.episodes() if one.begin > at and one.rule in problem.rules]
        mine = [one for one in mine if _about(one, traffic)]
        if mine:
            hours = (mine[0].begin - at) / SECOND / HOUR
            return (round(hours, 2), mine[0].rule) if hours <= limit else (None, "")
    return None, ""


def _about(episode: Episode, traffic: Traffic) -> bool:
    """Whether it is about the app that has the problem, or about no single app."""
    apps = {app.name for app in traffic.company.apps if app is traffic.company.main or app.tools}
    return episode.labels.get("app", traffic.company.main.name) in apps


def _count(found: Found, episode: Episode, traffic: Traffic) -> None:
    at = episode.begin / SECOND - START
    if any(trouble.begin <= at <= trouble.end + AFTER for trouble in traffic.life.outages):
        found.outages[episode.rule] = found.outages.get(episode.rule, 0) + 1
        return
    found.alarms[episode.rule] = found.alarms.get(episode.rule, 0) + 1
    labels = ", ".join(value for name, value in episode.labels.items() if name != "severity")
    found.seen.append((round(at / DAY, 3), episode.rule, labels))


def _forked(work: Any) -> Any:
    """What `work` returns in a copy of this process: its state is not changed here."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(write, "w") as pipe:
                json.dump(work(), pipe)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the copy must not go on as if it were this process
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError("a problem's run failed")
    return json.loads(answer)

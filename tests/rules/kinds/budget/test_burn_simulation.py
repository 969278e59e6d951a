"""Simulated months: teams that stay within their budget are never paged for a burn, and real burns are.

Two companies of 20 teams, one with monthly and one with daily budgets, and five rhythms of work. Panes of 10 minutes go
to the detector directly. The seeds are the companies' numbers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from llmvitals.record.reading import Reading
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.budget.spec import Budget
from llmvitals.sketch.counters import SUM, SUMS
from llmvitals.window import DAY, MINUTE
from panes import PANE
from spend import moment

STEP = 10 * MINUTE
FIRST = moment("2025-06-01T00:00", "Europe/Berlin") * PANE // STEP  # a Sunday
A_DAY = DAY // STEP
DAYS = 30
LIMIT = 720
TEAMS = 20
Rhythm = Callable[[float], float]
"""Hour of the month → how busy it is."""


def weekend(hour: float) -> bool:
    return hour // 24 % 7 in (0, 6)


def office(dice: random.Random, _: str) -> Rhythm:
    begin, length = dice.uniform(7.5, 9.5), dice.uniform(8, 10)

    def busy(hour: float) -> float:
        into = (hour % 24 - begin) / length
        work = 1 + 0.3 * math.sin(into * math.pi) if 0 <= into < 1 else 0.03
        return work * (0.06 if weekend(hour) else 1)

    return busy


def nightly(dice: random.Random, _: str) -> Rhythm:
    length, begins = dice.uniform(3, 5), dice.uniform(0, 5)
    days = [day * 24 + begins + dice.uniform(0, 0.4) for day in range(DAYS)]
    return lambda hour: 1 if 0 <= hour - days[int(hour // 24)] < length else 0.01


def weekdays(dice: random.Random, _: str) -> Rhythm:
    night = dice.uniform(0.1, 0.3)
    return lambda hour: 0 if weekend(hour) else 1 if 7 <= hour % 24 < 21 else night


def bursty(dice: random.Random, per: str) -> Rhythm:
    """Half of it in bursts: one every half day of up to two hours, or one every few hours of up to one."""
    often, longest, bursts = (12, 2, []) if per == "month" else (3, 1, [])
    hour = 0.0
    while hour < DAYS * 24:
        hour += often * dice.uniform(0.5, 1.5)
        bursts.append((hour, hour + longest * dice.uniform(0.3, 1), dice.uniform(5, 20)))
    return lambda hour: 1 + sum(high for begin, end, high in bursts if begin <= hour < end)


def flat(_: random.Random, __: str) -> Rhythm:
    return lambda _: 1


RHYTHMS = (office, nightly, weekdays, bursty, flat)


def healthy(dice: random.Random, per: str, rhythm: Rhythm) -> list[float]:
    """What each pane spends: a month that ends at 60 to 97 % of the limit, or days of which none exceeds that."""
    panes = []
    for day in range(DAYS):
        busy = math.exp(dice.gauss(0, 0.15))
        for hour in range(24):
            level = busy * math.exp(dice.gauss(0, 0.2))
            panes += [
                level * rhythm(day * 24 + hour + part / 6) * math.exp(dice.gauss(0, 0.25))
                for part in range(6)
            ]
    days = [sum(panes[day * A_DAY : (day + 1) * A_DAY]) for day in range(DAYS)]
    most = sum(days) if per == "month" else max(days)
    return [LIMIT * dice.uniform(0.6, 0.97) / most * pane for pane in panes] if most else panes


@dataclass
class Team:
    """A budget and its state. nanos: what its panes spend, in nano-dollars."""

    nanos: list[int]
    per: str
    state: dict[str, Any]

    def __post_init__(self) -> None:
        fields = {"limit": LIMIT, "per": self.per, "timezone": "Europe/Berlin", "thresholds": ["100%"]}
        budget = Budget.model_validate(fields | {"burn_rate": "default"}, context={"pane": STEP})
        self.detector = budget.detector(STEP, ())

    def run(self, begin: int, end: int, factor: int = 1) -> list[tuple[int, Reading]]:
        """The burn-rate pages of these panes, with the pane; the spend is multiplied by the factor."""
        found = []
        for place in range(begin, end):
            pane = FIRST + place
            while (due := self.detector.wakes(self.state)) < pane:
                found += [(place, each) for each in self.detector.take(self.state, max(due, pane - 1), None)]
            vitals = spent(self.nanos[place] * factor)
            found += [(place, each) for each in self.detector.take(self.state, pane, vitals)]
            if factor > 1 and any(each.facet == "burn" for _, each in found):
                break
        return [(place, each) for place, each in found if (each.facet, each.verdict) == ("burn", "breach")]

    def period(self, place: int) -> tuple[int, int]:
        """The first pane of the period that a pane is in, and the first after it."""
        if self.per == "month":
            return 0, DAYS * A_DAY
        return place // A_DAY * A_DAY, (place // A_DAY + 1) * A_DAY


def spent(nano: int) -> Vitals:
    """A pane of one call."""
    sums = [0] * len(SUMS)
    sums[SUM["calls"]], sums[SUM["cost_nano"]] = 1, nano
    return Vitals(tuple(sums))


@dataclass
class Burn:
    """A real burn: the rest of its period costs `factor` times as much, and is overspent by 5 % at least.

    delay: the hours until it is paged; None: it is not. left: the hours that are left then until the budget is
    used up.
    """

    factor: int
    delay: float | None
    left: float


def burn(team: Team, begin: int, factor: int) -> Burn | None:
    """A burn that begins at a pane, at which the team's state has arrived; None if it overspends nothing."""
    first, end = team.period(begin)
    total, gone = sum(team.nanos[first:begin]), 0
    for place in range(begin, end):
        total += team.nanos[place] * factor
        gone = gone or (place if total >= LIMIT * 10**9 else 0)
    if total < 1.05 * LIMIT * 10**9:
        return None
    pages = Team(team.nanos, team.per, deepcopy(team.state)).run(begin, gone + 1, factor)
    if not pages:
        return Burn(factor, None, 0)
    hours = STEP / (60 * MINUTE)
    return Burn(factor, (pages[0][0] - begin) * hours, (gone - pages[0][0]) * hours)


def simulated(company: int, per: str) -> tuple[list[str], list[Burn]]:
    """A company's month: the pages of its healthy teams, and the burns that were tried in each."""
    dice = random.Random(company)
    pages, burns = [], []
    for number in range(TEAMS):
        rhythm = RHYTHMS[number % len(RHYTHMS)]
        dollars = healthy(dice, per, rhythm(dice, per))
        team = Team([round(each * 1e9) for each in dollars], per, {})
        arrived = 0
        for factor in (3, 10, 20):
            begin = dice.randrange(arrived, max(arrived, A_DAY) + 9 * A_DAY)
            told = team.run(arrived, begin)
            pages += [f"{rhythm.__name__} {number}: {reading.note}" for _, reading in told]
            tried = burn(team, begin, factor)
            burns += [tried] if tried else []
            arrived = begin
        told = team.run(arrived, DAYS * A_DAY)
        pages += [f"{rhythm.__name__} {number}: {reading.note}" for _, reading in told]
    return pages, burns


MEDIANS: dict[str, dict[int, float]] = {"month": {3: 48, 10: 8, 20: 4}, "day": {3: 9, 10: 1.5, 20: 0.5}}
"""Hours after which half of the burns are paged, by the factor of the spend."""


@pytest.mark.parametrize(("company", "per"), [(1, "month"), (3, "day")])
def test_healthy_teams_are_not_paged_and_burns_are(company, per):
    pages, burns = simulated(company, per)
    assert pages == []
    assert len(burns) > 30
    paged = [(each, each.delay) for each in burns if each.delay is not None]
    # A burn that stays below the usual peak of its team is left to the thresholds; on a day there are a few.
    assert len(paged) >= (1 if per == "month" else 0.9) * len(burns)
    assert min(each.left for each, _ in paged) > 0, "before the budget is used up"
    for factor, hours in MEDIANS[per].items():
        assert median(delay for each, delay in paged if each.factor == factor) <= hours

"""Companies at random, beside the four: on these no rule was tuned."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from benchmarks.ordinary.company import COMPANIES, EVENING, MODELS, NIGHTLY, OFFICE, App, Company

ALWAYS: Final = (1,) * 24
FIELDS: Final = ("scores", "ttft_ms", "toxicity", "guardrails", "cached_tokens", "team", "session")


def company(number: int) -> Company:
    """One of the four, or with a higher number a random one, always the same for its number.

    It has one to six apps with one to three models each, sessions of one to forty calls, and shares of errors
    up to 5 % and of refusals and truncated answers up to 8 %.
    """
    if number < len(COMPANIES):
        return COMPANIES[number]
    dice = np.random.default_rng([5, number])
    shares = sorted(dice.dirichlet(np.full(dice.integers(1, 7), 1.2)).tolist(), reverse=True)
    zone = int(dice.integers(24))
    apps = tuple(_app(dice, place, share, zone) for place, share in enumerate(shares))
    return Company(
        name=f"random-{number - len(COMPANIES)}",
        apps=apps,
        without=frozenset(field for field in FIELDS if dice.random() < 0.2),
        rollout=dice.choice(["sticky", "random", "flip"]).item(),
        storms=dice.choice([0.2, 0.5, 1, 2, 3]).item(),
        outages=dice.choice([0, 0.3, 0.6, 1]).item(),
        opens=_opens(apps[0].hours),
    )


def _opens(hours: tuple[int, ...]) -> int:
    """The first of the nine hours in a row with most calls."""
    return max(range(24), key=lambda first: sum((*hours, *hours)[first : first + 9]))


def _app(dice: np.random.Generator, place: int, share: float, zone: int) -> App:
    models = dice.choice([*MODELS], dice.integers(1, 4), replace=False).tolist()
    parts = sorted(dice.dirichlet(np.full(len(models), 1.5)).tolist(), reverse=True)
    hours = (OFFICE, EVENING, NIGHTLY, ALWAYS)[dice.integers(4)]
    return App(
        name=f"app-{place}",
        team=f"team-{dice.integers(3)}",
        share=share,
        models=dict(zip(models, parts, strict=True)),
        tokens=(_between(dice, 150, 12_000), dice.uniform(0.3, 1.4)),
        output=(_between(dice, 8, 900), dice.uniform(0.3, 1.1)),
        hours=(*hours[zone:], *hours[:zone]),
        weekend=dice.choice([0, 0.03, 0.2, 0.5, 0.9, 1.1, 1.5]).item(),
        session=_between(dice, 1, 40),
        cache=dice.uniform(0, 0.95),
        judged=dice.choice([0, 0.02, 0.1, 0.3, 1]).item(),
        errors=_between(dice, 0.001, 0.05),
        refusals=_between(dice, 0.002, 0.08),
        truncated=_between(dice, 0.003, 0.08),
        blocked=dice.choice([0, 0.002, 0.01, 0.05]).item(),
        toxic=dice.choice([0, 0.005, 0.01, 0.03]).item(),
        tools=dice.random() < 0.3,
        embedded=dice.random() < 0.4,
    )


def _between(dice: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return math.exp(dice.uniform(math.log(low), math.log(high)))

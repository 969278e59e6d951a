"""What happens to a company in ordinary weeks: outages, storms of errors, roll-outs, slow hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from benchmarks.ordinary.company import MODELS, Company

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
DAYS: Final = 366
ROLLOUT: Final = 2 * DAY
CANARY: Final = 0.15
"""Share of the sessions, or calls, that get a new version first."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Calls of a provider that fail: from, until (s), and the share of them."""

    provider: str
    begin: float
    end: float
    share: float


class Life:
    """The plan of a year, always the same for a company and a seed. Times are seconds since the beginning.

    outages: 10 to 40 minutes in which most calls of a provider fail; an alert about them is right. storms: up
    to three minutes in which a third to two thirds fail; nobody wants to be told. rollouts: of each app.
    """

    def __init__(self, company: Company, seed: int, number: int) -> None:
        dice = np.random.default_rng([seed, number, 1])
        self.company = company
        self.providers = sorted({MODELS[name].provider for app in company.apps for name in app.models})
        self.outages = self._troubles(dice, company.outages / 7, (10, 40), (0.5, 0.95))
        self.storms = self._troubles(dice, company.storms, (0.7, 3), (0.3, 0.7))
        self.rollouts = {
            app.name: np.cumsum(dice.uniform(6 * DAY, 14 * DAY, 60)) + dice.uniform(-3, 3) * HOUR
            for app in company.apps
        }
        self.busy = {
            app.name: dice.normal(0, 0.1, DAYS) + np.cumsum(dice.normal(0, 0.002, DAYS))
            for app in company.apps
        }
        self.slow = {name: _slowness(dice) for name in self.providers}

    def factor(self, provider: str, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much longer than usual a provider takes at these times."""
        hours = self.slow[provider]
        factor: NDArray[np.float64] = np.exp(hours[(at / HOUR).astype(np.int64) % len(hours)])
        return factor

    def version(self, app: str, at: float) -> tuple[int, float]:
        """The number of the newest prompt version, and since when (s) it is there; 0: from the beginning."""
        came = self.rollouts[app]
        number = int(np.searchsorted(came, at, side="right"))
        return number, float(came[number - 1]) if number else -ROLLOUT

    def _troubles(
        self,
        dice: np.random.Generator,
        a_day: float,
        minutes: tuple[float, float],
        share: tuple[float, float],
    ) -> list[Trouble]:
        begins = np.sort(dice.uniform(0, DAYS * DAY, dice.poisson(a_day * DAYS)))
        return [
            Trouble(
                self.providers[dice.integers(len(self.providers))],
                begin,
                begin + 60 * dice.uniform(*minutes),
                dice.uniform(*share),
            )
            for begin in begins.tolist()
        ]


def _slowness(dice: np.random.Generator) -> NDArray[np.float64]:
    """The logarithm of a provider's slowness by hour: it wanders by 6 %, and once a week an hour is slow."""
    steps = dice.normal(0, 0.06 * np.sqrt(1 - 0.8**2), DAYS * 24)
    wandering = np.zeros(len(steps))
    for hour in range(1, len(steps)):
        wandering[hour] = 0.8 * wandering[hour - 1] + steps[hour]
    slow = dice.random(len(steps)) < 1 / 168
    return wandering + slow * dice.uniform(0.1, 0.4, len(steps))

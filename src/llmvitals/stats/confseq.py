"""An asymptotic confidence sequence for the difference of two arms' means, valid at every time.

In a step (a minute) arms a (control) and b (canary) have n values each, with their sum and that of their
squares. The step's difference D of the means estimates δ, whatever level both arms share in that minute, so
daily cycles cancel. Steps are weighted by w = n_a·n_b / (n_a + n_b): if both arms' values scatter by σ, Σ w·D
has the variance W·σ², W = Σ w. For the standardised sum S = Σ w·(D − δ) / σ̂ the half-normal mixture
2·∫ φ(λ; 0, ρ²) exp(λS − λ²W/2) dλ over λ > 0 is asymptotically an e-process, so S stays below the curve where
it is 1/α, at all times at once, with a chance of 1 − α.

σ̂² is the greater of two: from how D scatters between steps, which sees also what makes values of a step go
together, and from how values scatter within the steps of an arm. As it is asymptotic, there is no result
before STEPS steps with both arms, and before W is EFFECTIVE. Values with heavy tails, such as money, have to
be given as logarithms.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", 2021 (theorem 2.2, and for one side appendix B).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS: Final = 20
EFFECTIVE: Final = 50.0
WITHIN: Final = 30.0
"""Degrees of freedom that an arm needs before its scatter within steps is used."""
LEAST: Final = 1e-3
"""The least standard deviation. Equal values still scatter by this, because they were rounded."""
TIGHT: Final = 500.0
"""The W at which the sequence is tightest."""

_ROUNDS: Final = 12
"""Φ(z) is nearly 1, so that each round gives two digits or more; for the greatest alphas one."""

ArmSums = tuple[float, float, float]
"""The count of values, their sum, and the sum of their squares."""


class State(NamedTuple):
    """Sums over steps: w, w·D, w², w²·D, w²·D², w²/n_a, w²/n_b; how many steps.

    squares, freedom: of an arm, the squares about its steps' means, and their degrees of freedom.
    """

    w: float = 0.0
    wd: float = 0.0
    ww: float = 0.0
    wwd: float = 0.0
    wwdd: float = 0.0
    wwa: float = 0.0
    wwb: float = 0.0
    steps: float = 0.0
    squares_a: float = 0.0
    freedom_a: float = 0.0
    squares_b: float = 0.0
    freedom_b: float = 0.0

    @property
    def mean(self) -> float:
        """The estimate of δ; 0 before any step."""
        return self.wd / self.w if self.w else 0.0

    @property
    def ready(self) -> bool:
        """Whether there are enough steps for a result."""
        return self.steps >= STEPS and self.w >= EFFECTIVE

    @property
    def deviation(self) -> float:
        """σ̂, at least LEAST."""
        between = self.wwdd - 2 * self.mean * self.wwd + self.mean**2 * self.ww
        variance = between * self.steps / max(self.steps - 1, 1)
        if min(self.freedom_a, self.freedom_b) >= WITHIN:
            a, b = self.squares_a / self.freedom_a, self.squares_b / self.freedom_b
            variance = max(variance, a * self.wwa + b * self.wwb)
        return max(math.sqrt(max(variance, 0.0) / self.w), LEAST) if self.w else LEAST


def step(state: Sequence[float], a: ArmSums, b: ArmSums) -> State:
    """The state after a step with these values of the control (a) and the canary (b); State() at first.

    >>> state = State()
    >>> for level in range(40):
    ...     state = step(state, (100, 100.0 * level, 100.0 * level**2 + 9), (2, 2.0 * level + 1, 5e4))
    >>> round(state.mean, 3)
    0.5
    """
    previous = State(*state)
    if not a[0] or not b[0]:
        return previous
    w = a[0] * b[0] / (a[0] + b[0])
    d = b[1] / b[0] - a[1] / a[0]
    added = (
        *(w, w * d, w**2, w**2 * d, (w * d) ** 2, w**2 / a[0], w**2 / b[0], 1.0),
        *(_about(a), a[0] - 1, _about(b), b[0] - 1),
    )
    return State(*(old + new for old, new in zip(previous, added, strict=True)))


def evidence(state: State, null: float, alpha: float, *, clustered: float = 0.0) -> float:
    """The natural log of the (asymptotic) e-value against "δ is at most null"; 0 before the state is ready.

    alpha: the error for which the sequence is tuned, the same at all looks. clustered: the variance of Σ w·D
    as clusters of calls show it (see stats.clusters); the greater variance is used.
    """
    if not state.ready:
        return 0.0
    return _log_mixture((state.wd - null * state.w) / _deviation(state, clustered), state.w, alpha)


def limits(state: State, alpha: float, *, clustered: float = 0.0) -> tuple[float | None, float | None]:
    """Limits of δ, each ever wrong with a chance of at most alpha (asymptotically); None: not ready."""
    if not state.ready:
        return None, None
    away = radius(state, state.w, alpha, clustered=clustered)
    return state.mean - away, state.mean + away


def radius(state: State, w: float, alpha: float, *, clustered: float = 0.0) -> float:
    """How far δ has to be from a null to be told from it about when W is w, at the scatter seen so far."""
    return _curve(w, alpha) * _deviation(state, clustered) / w


def _deviation(state: State, clustered: float) -> float:
    return max(state.deviation, math.sqrt(clustered / state.w))


def _about(values: ArmSums) -> float:
    """The sum of squares about the mean."""
    return max(values[2] - values[1] ** 2 / values[0], 0.0)


@cache
def _tuned(alpha: float) -> float:
    """ρ² that makes the sequence tightest at W = TIGHT (equation 11 of the paper's section 2)."""
    bits = -2 * math.log(alpha)
    return (bits + math.log(bits + 1)) / TIGHT


def _log_mixture(s: float, w: float, alpha: float) -> float:
    rho = _tuned(alpha)
    spread = 1 + rho * w
    z = s * math.sqrt(rho / spread)
    # Φ far below 0 underflows to 0: there is no evidence.
    below = math.erfc(-z / math.sqrt(2)) / 2
    return math.log(2) - math.log(spread) / 2 + z**2 / 2 + math.log(below) if below > 0 else -math.inf


def _curve(w: float, alpha: float) -> float:
    """The s at which the mixture is 1/alpha: by iteration of z = √(2(ln 1/2α + ln(1 + ρ²W)/2 − ln Φ(z)))."""
    rho = _tuned(alpha)
    known = -math.log(alpha) - math.log(2) + math.log1p(rho * w) / 2
    z = math.sqrt(2 * known) if known > 0 else 1.0
    for _ in range(_ROUNDS):
        z = math.sqrt(2 * max(known - math.log(math.erfc(-z / math.sqrt(2)) / 2), 0.0))
    return z * math.sqrt((1 + rho * w) / rho)

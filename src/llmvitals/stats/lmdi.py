"""Splits the change of a sum exactly into the effects of each factor and each key.

The sum is over keys of products, given as chains: calls → tokens → money is
calls · tokens/calls · money/tokens, whose last member is what is summed. Calls of a key are the volume (all
calls) times its part in it (the mix).

Source: additive LMDI-I. B. W. Ang, "LMDI decomposition approach: A guide for implementation", Energy Policy
86 (2015); zeros by their analytical limits: B. W. Ang, N. Liu, "Handling zero values in the logarithmic mean
Divisia index decomposition approach", Energy Policy 35 (2007). It leaves no residual, gives the opposite when
both times are exchanged, and doesn't depend on the order of keys or factors.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VOLUME: Final = "volume"
MIX: Final = "mix"

Chain = tuple[float, ...]
"""calls and the quantities that follow from them, each 0 or more; the last one is summed"""
Effects = dict[tuple[str, str], float]
"""(key, factor) → its effect on the change"""


class Item(NamedTuple):
    """The chain of a key before and now. factors: a name for each step. A key may have several chains.

    sign: −1 for a chain that is subtracted from the sum.
    """

    key: str
    factors: tuple[str, ...]
    before: Chain
    now: Chain
    sign: int = 1


def split(items: Iterable[Item], volume: tuple[float, float]) -> Effects:
    """The effect of each factor through each key; they add up to the change of the sum.

    volume: all calls before and now, above 0.
    """
    effects_by_place: dict[tuple[str, str], list[float]] = {}
    for item in items:
        calls, *steps = [item.sign * effect for effect in _steps(item.before, item.now)]
        weight = item.sign * logarithmic_mean(item.before[-1], item.now[-1])
        volume_effect = weight * (math.log(volume[1]) - math.log(volume[0])) if weight else 0.0
        effects_by_place.setdefault((item.key, VOLUME), []).append(volume_effect)
        effects_by_place.setdefault((item.key, MIX), []).extend((calls, -volume_effect))
        for factor, effect in zip(item.factors, steps, strict=True):
            effects_by_place.setdefault((item.key, factor), []).append(effect)
    return {place: math.fsum(effects) for place, effects in effects_by_place.items()}


def logarithmic_mean(a: float, b: float) -> float:
    """(a − b) / ln(a/b): it lies between both, and is 0 if one of them is 0."""
    if not (a and b):
        return 0.0
    logs = math.log(a) - math.log(b)
    return (a - b) / logs if logs else (a + b) / 2


def rounded(effects: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], int]:
    """Integers that add up to the rounded change: the largest remainders are rounded up."""
    sign = -1 if math.fsum(effects.values()) < 0 else 1
    exact = {place: sign * Fraction(effect) for place, effect in effects.items()}
    floors = {place: math.floor(effect) for place, effect in exact.items()}
    missing = round(sum(exact.values())) - sum(floors.values())
    order = sorted(exact, key=lambda place: (floors[place] - exact[place], place))
    up = set(order[:missing])
    return {place: sign * (floor + (place in up)) for place, floor in floors.items()}


def _steps(before: Chain, now: Chain) -> list[float]:
    """The effect of each member of the chain on the last one, relative to the member before it."""
    effects = [0.0] * len(before)
    if not (before[-1] and now[-1]):
        change = now[-1] - before[-1]
        if change:
            # In the limit all of the change is due to the first member that is 0 at only one of the times.
            empty, other = (before, now) if change > 0 else (now, before)
            effects[next(place for place, value in enumerate(empty) if not value and other[place])] = change
        return effects
    weight = logarithmic_mean(before[-1], now[-1])
    previous_log = 0.0
    for place, (old, new) in enumerate(zip(before, now, strict=True)):
        # A member that is 0 while the next is not has no effect; the next one gets it.
        if old and new:
            log = math.log(new) - math.log(old)
            effects[place], previous_log = weight * (log - previous_log), log
    return effects

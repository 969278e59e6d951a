"""How a metric is decomposed into products of factors, so that a change of it can be split.

The cost of a key is the cost without any cache, of prompts and of answers, less the saving of the cache:

    calls · tokens/calls · price                       of prompts, and of answers
    calls · tokens saved/calls · price                 subtracted (or added, where writing to a cache costs
                                                       more than reading from it saves)

There is one price: that of a prompt token. An answer token counts as several prompt tokens: as many as a
price list needs to explain both periods, or ANSWER if no price list does. Savings are counted in tokens of
that price. The latency of a key is calls · output tokens/calls · time per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from llmvitals.stats.lmdi import Item

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.rootcause.keys import Floats

ANSWER: Final = 5.0
"""The assumed price of an answer token in prompt tokens: most models charge 4 to 8 times as much."""
RATIOS: Final = (1.0, 12.0)
"""The plausible range of that price."""
DISTINCT: Final = 0.1
"""The least relative difference of the answers-to-prompts proportion from which prices can be derived."""


class Items(Protocol):
    """A key's shares before and now → items for lmdi. steady: the same models answered in both."""

    def __call__(self, key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]: ...


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A sum over keys.

    unit: of the sum. scale: how many of the integers that are added up make one unit. per_call: per call, not
    per hour. weight: the sum's place in a top_k.Share. kinds: the kinds of keys to use, the best first.
    """

    unit: Unit
    scale: int
    per_call: bool
    weight: int
    items: Items
    kinds: tuple[str, ...] = ("prompt", "model")


def decomposition_of(metric: str, unit: Unit) -> Decomposition | None:
    """The decomposition of a rule's metric; None if it has none."""
    name, suffix, _ = metric.partition("_per_call")
    per_call = bool(suffix)
    match unit, name:
        case "usd", "cost" | "cost_per_hour":
            return Decomposition("usd", 10**9, per_call, 1, _money)
        case "tokens", "tokens":
            return Decomposition("tokens", 1, per_call, 2, _tokens)
        case "tokens", "input_tokens":
            return Decomposition("tokens", 1, per_call, 2, _input)
        case "tokens", "output_tokens":
            return Decomposition("tokens", 1, per_call, 5, _output)
    if unit == "ms" and name.startswith("latency_"):
        return Decomposition("ms", 1_000, per_call=True, weight=4, items=_latency, kinds=("model", "prompt"))
    return None


def _money(key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]:
    ratio = (_ratio(before, now) if steady else None) or ANSWER
    prompts, answers, spared, extra = zip(_priced(before, ratio), _priced(now, ratio), strict=True)
    return [
        Item(key, ("prompts", "price"), *prompts),
        Item(key, ("answers", "price"), *answers),
        Item(key, ("cache", "price"), *spared, sign=-1),
        Item(key, ("cache", "price"), *extra),
    ]


def _priced(share: Floats, ratio: float) -> tuple[tuple[float, float, float], ...]:
    """The factors of prompts, answers, cache savings and cache costs."""
    calls, cost, _, gross, _, output = share
    prompts, answers = _prompts(share), ratio * output
    tokens = prompts + answers
    part, price = (answers / tokens, gross / tokens) if tokens else (0.0, 0.0)
    spared, extra = max(gross - cost, 0.0), max(cost - gross, 0.0)
    return (
        (calls, prompts, gross * (1 - part)),
        (calls, answers, gross * part),
        (calls, spared / price if price else 0.0, spared),
        (calls, extra / price if price else 0.0, extra),
    )


def _ratio(before: Floats, now: Floats) -> float | None:
    """The price of an answer token in prompt tokens with which both periods had the same prices, if any."""
    old, new = _prompts(before), _prompts(now)
    left, right = old * now[5], new * before[5]
    if abs(left - right) <= DISTINCT * max(left, right):
        return None
    prompt = before[3] * now[5] - now[3] * before[5]
    answer = old * now[3] - new * before[3]
    ratio = answer / prompt if prompt else 0.0
    return ratio if prompt * (left - right) > 0 and RATIOS[0] <= ratio <= RATIOS[1] else None


def _prompts(share: Floats) -> float:
    return max(0.0, share[2] - share[5])


def _tokens(key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]:
    return [*_input(key, before, now, steady=steady), *_output(key, before, now, steady=steady)]


def _input(key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]:
    del steady
    return [Item(key, ("prompts",), (before[0], _prompts(before)), (now[0], _prompts(now)))]


def _output(key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]:
    del steady
    return [Item(key, ("answers",), (before[0], before[5]), (now[0], now[5]))]


def _latency(key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]:
    del steady
    return [Item(key, ("answers", "time"), (before[0], before[5], before[4]), (now[0], now[5], now[4]))]

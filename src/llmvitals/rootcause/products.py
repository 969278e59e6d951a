"""What a root-cause line explains: how a metric of a rule is made of products.

Money of a key is what it had cost without any cache, for prompts and for answers, less what a cache saved:

    calls · tokens/calls · price                       of prompts, and of answers
    calls · tokens saved/calls · price                 which is taken off (or put on, where writing to a cache
                                                       costs more than reading from it saves)

One price, for a token of a prompt; an answer's counts as several: as many as a price list would need that
explains both times, and where none can, ANSWER. What was saved is told in tokens of that price.
Latency of a key is calls · output tokens/calls · time for a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from llmvitals.stats.lmdi import Item

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.rootcause.keys import Floats

ANSWER: Final = 5.0
"""Most models charge 4 to 8 times as much for a token of the answer as for one of the prompt."""
RATIOS: Final = (1.0, 12.0)
"""Between these is what a price list may charge for a token of the answer."""
APART: Final = 0.1
"""How much the proportion of answers to prompts has to differ for their prices to be told from each other."""


class Items(Protocol):
    """A key's shares before and now → what lmdi splits. steady: the same models answered both times."""

    def __call__(self, key: str, before: Floats, now: Floats, *, steady: bool) -> list[Item]: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A sum over keys.

    unit: of the sum; `scale` of the integers that are added up make one. each: per call, not per hour.
    weight: its place in a heavy.Share. kinds: whose keys to take, the best first.
    """

    unit: Unit
    scale: int
    each: bool
    weight: int
    items: Items
    kinds: tuple[str, ...] = ("prompt", "model")


def subject(metric: str, unit: Unit) -> Subject | None:
    """What explains this metric of a rule; None where nothing here does."""
    name, each, _ = metric.partition("_per_call")
    per_call = bool(each)
    match unit, name:
        case "usd", "cost" | "cost_per_hour":
            return Subject("usd", 10**9, per_call, 1, _money)
        case "tokens", "tokens":
            return Subject("tokens", 1, per_call, 2, _tokens)
        case "tokens", "input_tokens":
            return Subject("tokens", 1, per_call, 2, _input)
        case "tokens", "output_tokens":
            return Subject("tokens", 1, per_call, 5, _output)
    if unit == "ms" and name.startswith("latency_"):
        return Subject("ms", 1_000, each=True, weight=4, items=_latency, kinds=("model", "prompt"))
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
    """The chains of prompts, of answers, of what a cache saved and of what it cost."""
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
    """The price of an answer's token in prompts' tokens with which both times had the same prices, if any."""
    old, new = _prompts(before), _prompts(now)
    left, right = old * now[5], new * before[5]
    if abs(left - right) <= APART * max(left, right):
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

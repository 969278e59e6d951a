"""How a metric is decomposed into products of factors, so that a change of it can be split.

The cost of a key is the cost without any cache, of prompts and of answers, less the saving of the cache:

    calls · tokens/calls · price                       of prompts, and of answers
    calls · tokens saved/calls · price                 subtracted (or added, where writing to a cache costs
                                                       more than reading from it saves)

There is one price: that of a prompt token. An answer token counts as several prompt tokens: as many as the
price list says (`Ratio`). Where no list is known, it is as many as a list needs to explain both periods, or
ANSWER if no list does. Savings are counted in tokens of that price. The cost of calls without tokens, or
whose tokens cost nothing, is calls · cost of a call. The latency of a key is calls · output tokens/calls ·
time per token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from llmvitals.stats.lmdi import Item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.alert import Unit
    from llmvitals.rootcause.keys import Floats

Ratio = Callable[[str], float | None]
"""Model → the price of its answer token in prompt tokens; 0: its tokens cost nothing; None: not known."""
ANSWER: Final = 5.0
"""The assumed price of an answer token in prompt tokens: most models charge 4 to 8 times as much."""
RATIOS: Final = (1.0, 12.0)
"""The plausible range of that price."""
DISTINCT: Final = 0.1
"""The least relative difference of the answers-to-prompts proportion from which prices can be derived."""


class Ratios(NamedTuple):
    """The Ratio of a key's models before and now. steady: the same models answered in both."""

    before: float | None
    now: float | None
    steady: bool


class Items(Protocol):
    """A key's shares before and now → items for lmdi."""

    def __call__(self, key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]: ...


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


def unlisted(model: str) -> float | None:
    """The Ratio where no price list is known."""
    del model
    return None


def for_series(ratio: Ratio, labels: Mapping[str, str]) -> Ratio:
    """The Ratio in a series with these dimensions, which may fix the model."""
    model = labels.get("model")
    return (lambda _: ratio(model)) if model else ratio


def without_tokens(share: Floats, ratio: float | None = None) -> bool:
    """Whether what the calls cost is not the price of tokens."""
    return share[3] > 0 and (share[2] <= 0 or ratio == 0)


def _money(key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]:
    if without_tokens(before, ratios.before) or without_tokens(now, ratios.now):
        saved, more = zip(_saved(before), _saved(now), strict=True)
        return [
            Item(key, ("fee",), (before[0], before[3]), (now[0], now[3])),
            Item(key, ("cache",), *saved, sign=-1),
            Item(key, ("cache",), *more),
        ]
    fitted = (_ratio(before, now) if ratios.steady and ratios[:2] == (None, None) else None) or ANSWER
    prompts, answers, spared, extra = zip(
        _priced(before, ratios.before or fitted), _priced(now, ratios.now or fitted), strict=True
    )
    return [
        Item(key, ("prompts", "price"), *prompts),
        Item(key, ("answers", "price"), *answers),
        Item(key, ("cache", "price"), *spared, sign=-1),
        Item(key, ("cache", "price"), *extra),
    ]


def _saved(share: Floats) -> tuple[tuple[float, float], ...]:
    """The savings and costs of a cache of calls without tokens."""
    return (share[0], max(share[3] - share[1], 0.0)), (share[0], max(share[1] - share[3], 0.0))


def _priced(share: Floats, ratio: float) -> tuple[tuple[float, float, float], ...]:
    """The factors of prompts, answers, cache savings and cache costs."""
    calls, cost, _, gross, _, output = share
    prompts, answers = _prompts(share), ratio * output
    tokens = prompts + answers
    part, price = (answers / tokens, gross / tokens) if tokens else (0.0, 0.0)
    spared, extra = max(gross - cost, 0.0), max(cost - gross, 0.0)
    return (
        (calls, prompts, gross * (1 - part)),
        (calls, output, gross * part),
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


def _tokens(key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]:
    return [*_input(key, before, now, ratios), *_output(key, before, now, ratios)]


def _input(key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]:
    del ratios
    return [Item(key, ("prompts",), (before[0], _prompts(before)), (now[0], _prompts(now)))]


def _output(key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]:
    del ratios
    return [Item(key, ("answers",), (before[0], before[5]), (now[0], now[5]))]


def _latency(key: str, before: Floats, now: Floats, ratios: Ratios) -> list[Item]:
    del ratios
    return [Item(key, ("answers", "time"), (before[0], before[5], before[4]), (now[0], now[5], now[4]))]

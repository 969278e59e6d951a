"""What a root-cause line explains: how a metric of a rule is a product of factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmvitals.detect.lmdi import Chain
    from llmvitals.record.alert import Unit

ANSWER: Final = 5
"""A token of an answer counts as so many of a prompt: most models charge 4 to 8 times as much for it. Where a
price list says otherwise, a little of a change of length is told as one of the price."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A sum over keys of chains (see lmdi).

    unit: of the whole; `scale` of the integers that are added up make one. each: per call, not per hour.
    chains: of a heavy.Share; factors: the names of each chain's steps. kinds: whose keys to take, the best
    first. weight: the place in a share of what is explained.
    """

    unit: Unit
    scale: int
    each: bool
    chains: Callable[[Sequence[float]], list[Chain]]
    factors: tuple[tuple[str, ...], ...]
    weight: int
    kinds: tuple[str, ...] = ("prompt", "model")


def subject(metric: str, unit: Unit) -> Subject | None:
    """What explains this metric of a rule; None where nothing here does."""
    name, each, _ = metric.partition("_per_call")
    per_call = bool(each)
    if unit == "usd" and name in ("cost", "cost_per_hour"):
        factors = (("prompts", "price", "cache"), ("answers", "price", "cache"))
        return Subject("usd", 10**9, per_call, _money, factors, 1)
    if unit == "tokens" and name == "tokens":
        return Subject("tokens", 1, per_call, _tokens, (("prompts",), ("answers",)), 2)
    if unit == "tokens" and name == "input_tokens":
        return Subject("tokens", 1, per_call, _input, (("prompts",),), 2)
    if unit == "tokens" and name == "output_tokens":
        return Subject("tokens", 1, per_call, _output, (("answers",),), 5)
    if unit == "ms" and name.startswith("latency_"):
        return Subject("ms", 1_000, True, _latency, (("answers", "time"),), 4, ("model", "prompt"))
    return None


def _money(share: Sequence[float]) -> list[Chain]:
    calls, cost, tokens, gross, _, output = share
    prompts, answers = tokens - output, ANSWER * output
    part = answers / (prompts + answers) if answers else 0.0
    return [
        (calls, prompts, gross * (1 - part), cost * (1 - part)),
        (calls, answers, gross * part, cost * part),
    ]


def _tokens(share: Sequence[float]) -> list[Chain]:
    return _input(share) + _output(share)


def _input(share: Sequence[float]) -> list[Chain]:
    return [(share[0], share[2] - share[5])]


def _output(share: Sequence[float]) -> list[Chain]:
    return [(share[0], share[5])]


def _latency(share: Sequence[float]) -> list[Chain]:
    return [(share[0], share[5], share[4])]

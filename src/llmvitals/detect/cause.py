"""The root-cause line: why money, tokens or latency are not what they were, in shares of the change.

    +$212.40 an hour against the hour before: 81 % from longer prompts in answer@v7, 12 % from more calls

The change is split exactly (see lmdi) over the keys of one kind of contributor, prompts if most of it has
one, else models, and read factor by factor; a key is named where it carries a factor's part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.detect.keys import REST, keyed, side
from llmvitals.detect.lmdi import MIX, VOLUME, rounded, split
from llmvitals.detect.subject import subject
from llmvitals.record.quantity import amount
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.detect.keys import Key
    from llmvitals.detect.subject import Subject
    from llmvitals.record.alert import Unit
    from llmvitals.sketch import heavy

LEAST: Final = 0.2
"""A change of less than this share of what was before is not worth a line."""
TOLD: Final = 0.1
"""A part of less than this share of the change is left out."""
PARTS: Final = 3
CARRIES: Final = 0.6
"""A key is named when it carries this share of a part."""
SHIFTED: Final = 0.1
"""A key has more or fewer of the calls when its share of them changed by this much."""
FEW: Final = 10
"""Calls below which a time is too thin to say anything of it."""
SHORTEST: Final = 100_000_000
"""µs that the time before has to have."""
LONGEST: Final = 60
"""Characters of a name."""

_WORDS: Final = {
    VOLUME: ("more calls", "fewer calls"),
    "prompts": ("longer prompts", "shorter prompts"),
    "answers": ("longer answers", "shorter answers"),
    "price": ("a higher price", "a lower price"),
    "cache": ("fewer cache hits", "more cache hits"),
    "time": ("slower answers", "faster answers"),
}
_SWAPS: Final = (("price", "prompt"), ("price", ""), (MIX, "model"))
"""Factor and kind of key behind which may be one model in the place of another."""
_BY: Final = {"user": "by", "key": "by key", "prompt": "in", "model": "of"}


class Span(NamedTuple):
    """What some time held. length: event time, µs; total: of everything, names: of the heaviest."""

    length: int
    total: heavy.Share
    names: heavy.Contributors


def line(metric: str, unit: Unit, before: Span, now: Span, *, fixed: Collection[str] = ()) -> str:
    """The line for a metric of a rule.

    fixed: kinds of contributors that the series fixes, which explain nothing. "" where the metric is none of
    money, tokens or latency, where there is too little to compare with, and where not much has changed.
    """
    about = subject(metric, unit)
    thin = min(before.total[0], now.total[0]) < FEW or before.length < SHORTEST or not now.length
    if about is None or thin:
        return ""
    return _Case(about, before, now, fixed).line(before.length)


class _Case:
    """Both times, per hour or per call, and how the change is split."""

    def __init__(self, about: Subject, before: Span, now: Span, fixed: Collection[str]) -> None:
        self.about, self.fixed = about, fixed
        self.before, self.now = (
            side(span.total, span.names, span.total[0] if about.each else span.length / HOUR)
            for span in (before, now)
        )
        self.kind = next(filter(self._covers, about.kinds), "")
        self.keys = keyed(self.kind, self.before, self.now)
        self.effects = self._split(self.keys)
        self.whole = sum(self.effects.values())

    def line(self, length: int) -> str:
        """The line; length: of the time before, µs."""
        if abs(self.whole) < max(LEAST * self.before.total[self.about.weight], 1):
            return ""
        parts = {factor: sum(self._by_key(factor).values()) for factor in (*_WORDS, MIX)}
        told = sorted((-abs(part), factor) for factor, part in parts.items())
        said = [
            f"{_share(parts[factor] / self.whole)} from {self._said(factor, parts[factor])}"
            for part, factor in told[:PARTS]
            if -part >= TOLD * abs(self.whole)
        ]
        size = amount(abs(self.whole) / self.about.scale, self.about.unit)
        per = "a call" if self.about.each else "an hour"
        return f"{'+' if self.whole > 0 else '−'}{size} {per} against {_named(length)}: {', '.join(said)}"

    def _covers(self, kind: str) -> bool:
        """Whether most of what is explained has a key of this kind, and the series doesn't fix it."""
        weight = self.about.weight
        named = sum(share[weight] for share in self.now.names.get(kind, {}).values())
        return kind not in self.fixed and named * 2 >= self.now.total[weight]

    def _split(self, keys: Mapping[str, Key]) -> dict[tuple[str, str], int]:
        steady = all(abs(shift) < SHIFTED for shift in self._models().values())
        items = [
            item
            for name, key in keys.items()
            for item in self.about.items(name, key.before, key.now, steady=steady)
        ]
        return rounded(split(items, (self.before.total[0], self.now.total[0])))

    def _models(self) -> dict[str, float]:
        """Model → by how much its share of the calls has changed."""
        return {name: self._shift(key) for name, key in keyed("model", self.before, self.now).items() if name}

    def _by_key(self, factor: str, effects: Mapping[tuple[str, str], int] | None = None) -> dict[str, int]:
        effects = self.effects if effects is None else effects
        return {key: effect for (key, named), effect in effects.items() if named == factor}

    def _said(self, factor: str, part: int) -> str:
        if factor == VOLUME:
            return f"{_WORDS[factor][part < 0]}{self._callers(part > 0)}"
        swapped = self._swapped(part) if (factor, self.kind) in _SWAPS else ""
        if swapped:
            return swapped
        if factor == MIX:
            gained = max(self.keys, key=lambda name: (self._shift(self.keys[name]), name))
            return f"a shift to {_short(self.keys[gained].label)}" if gained else "another mix of calls"
        key, effect = max(
            self._by_key(factor).items(), key=lambda item: (item[1] * (1 if part > 0 else -1), item[0])
        )
        named = key != REST and abs(effect) >= CARRIES * abs(part)
        return _WORDS[factor][part < 0] + (
            f" {_BY[self.kind]} {_short(self.keys[key].label)}" if named else ""
        )

    def _callers(self, more: bool) -> str:
        """Who makes most of the calls that are more, or made most of those that are missing."""
        change = self.now.total[0] - self.before.total[0]
        for kind in ("user", "key", "prompt", "model"):
            if kind in self.fixed:
                continue
            keys = keyed(kind, self.before, self.now)
            for name, key in sorted(keys.items()):
                carried = key.now[0] - key.before[0]
                shifted = self._shift(key) if more else -self._shift(key)
                if name and carried / change >= CARRIES and shifted >= SHIFTED:
                    return f" {_BY[kind]} {_short(key.label)}"
        return ""

    def _swapped(self, part: int) -> str:
        """One model in the place of another, if that is what is behind this part."""
        if "model" in self.fixed:
            return ""
        shifts = self._models()
        if not shifts:
            return ""
        mixed = sum(self._by_key(MIX, self._split(keyed("model", self.before, self.now))).values())
        if mixed / part < 1 / 2:
            return ""
        gained, lost = (pick(shifts, key=lambda name: (shifts[name], name)) for pick in (max, min))
        if shifts[gained] < SHIFTED or shifts[lost] > -SHIFTED:
            return ""
        return f"{_short(gained)} instead of {_short(lost)}"

    def _shift(self, key: Key) -> float:
        """By how much its share of the calls has changed."""
        return key.now[0] / self.now.total[0] - key.before[0] / self.before.total[0]


def _share(share: float) -> str:
    return f"{'−' if share < 0 else ''}{abs(share) * 100:.0f} %"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _named(length: int) -> str:
    """A time before, in round numbers."""
    minutes = round(length / MINUTE)
    if minutes < 50:
        return f"the {minutes} min before"
    hours = round(length / HOUR)
    return "the hour before" if hours <= 1 else f"the {hours} h before"

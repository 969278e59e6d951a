"""A part of a change in words, with who carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.rootcause.change import SHIFTED, by_key
from llmvitals.rootcause.keys import REST, keyed
from llmvitals.stats.lmdi import MIX, VOLUME
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.rootcause.change import Case

CARRIES: Final = 0.6
"""A key is named when it carries this share of a part."""
LONGEST: Final = 60
"""Characters of a name."""
WORDS: Final = {
    VOLUME: ("more calls", "fewer calls"),
    "prompts": ("longer prompts", "shorter prompts"),
    "answers": ("longer answers", "shorter answers"),
    "price": ("a higher price", "a lower price"),
    "cache": ("fewer cache hits", "more cache hits"),
    "time": ("slower answers", "faster answers"),
}
"""Factor → what it is when it adds, and when it takes off."""
_SWAPS: Final = (("price", "prompt"), ("price", ""), (MIX, "model"))
"""Factor and kind of key behind which may be one model in the place of another."""
_BY: Final = {"user": "by", "key": "by key", "prompt": "in", "model": "of"}


def said(case: Case, factor: str, part: int) -> str:
    """What a factor did, that made this part of the change."""
    if factor == VOLUME:
        return f"{WORDS[factor][part < 0]}{_callers(case, more=part > 0)}"
    swapped = _swapped(case, part) if (factor, case.kind) in _SWAPS else ""
    if swapped:
        return swapped
    if factor == MIX:
        gained = max(case.keys, key=lambda name: (case.shift(case.keys[name]), name))
        return f"a shift to {_short(case.keys[gained].label)}" if gained else "another mix of calls"
    sign = 1 if part > 0 else -1
    key, effect = max(by_key(case.effects, factor).items(), key=lambda item: (item[1] * sign, item[0]))
    if key == REST or effect * sign < CARRIES * part * sign:
        return WORDS[factor][part < 0]
    return f"{WORDS[factor][part < 0]} {_BY[case.kind]} {_short(case.keys[key].label)}"


def share(part: float) -> str:
    """A share of the change, in whole per cent."""
    return f"{'−' if part < 0 else ''}{abs(part) * 100:.0f} %"


def before(length: int) -> str:
    """A time before (µs), in round numbers."""
    minutes, hours = round(length / MINUTE), round(length / HOUR)
    if minutes < 50:
        return f"the {minutes} min before"
    return "the hour before" if hours <= 1 else f"the {hours} h before"


def _callers(case: Case, *, more: bool) -> str:
    """Who makes most of the calls that are more, or made most of those that are missing."""
    change = case.now.total[0] - case.before.total[0]
    for kind in ("user", "key", "prompt", "model"):
        if kind in case.fixed:
            continue
        for name, key in sorted(keyed(kind, case.before, case.now).items()):
            shifted = case.shift(key) if more else -case.shift(key)
            if name != REST and (key.now[0] - key.before[0]) / change >= CARRIES and shifted >= SHIFTED:
                return f" {_BY[kind]} {_short(key.label)}"
    return ""


def _swapped(case: Case, part: int) -> str:
    """One model in the place of another, if that is what is behind this part."""
    shifts = {name: case.shift(key) for name, key in case.models.items() if name != REST}
    if "model" in case.fixed or not shifts:
        return ""
    mixed = sum(by_key(case.split(case.models), MIX).values())
    gained, lost = (pick(shifts, key=lambda name: (shifts[name], name)) for pick in (max, min))
    if mixed / part < 1 / 2 or shifts[gained] < SHIFTED or shifts[lost] > -SHIFTED:
        return ""
    return f"{_short(gained)} instead of {_short(lost)}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"

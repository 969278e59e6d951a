"""Describes a part of a change in words, and names the key that causes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.rootcause.change import SHIFTED, by_key
from llmvitals.rootcause.keys import REST, keys_of
from llmvitals.stats.lmdi import MIX, VOLUME
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.rootcause.change import Comparison

CARRIES: Final = 0.6
"""A key is named if it causes this share of a part."""
LONGEST: Final = 60
"""The most characters of a name."""
WORDS: Final = {
    VOLUME: ("more calls", "fewer calls"),
    "prompts": ("longer prompts", "shorter prompts"),
    "answers": ("longer answers", "shorter answers"),
    "price": ("a higher price", "a lower price"),
    "cache": ("fewer cache hits", "more cache hits"),
    "fee": ("a higher cost per call", "a lower cost per call"),
    "time": ("slower answers", "faster answers"),
}
"""Factor → its words when it increases and when it decreases the metric."""
_SWAPS: Final = (("price", "prompt"), ("price", ""), ("fee", "prompt"), ("fee", ""), (MIX, "model"))
"""Factor and kind of key that may mean one model in place of another."""
_BY: Final = {"user": "by", "key": "by key", "prompt": "in", "model": "of"}


def describe(comparison: Comparison, factor: str, part: int) -> str:
    """Describe how a factor made this part of the change."""
    if factor == VOLUME:
        return f"{WORDS[factor][part < 0]}{_callers(comparison, more=part > 0)}"
    swapped = _swapped(comparison, part) if (factor, comparison.kind) in _SWAPS else ""
    if swapped:
        return swapped
    if factor == MIX:
        gained = max(comparison.keys, key=lambda name: (comparison.shift(comparison.keys[name]), name))
        return f"a shift to {shortened(comparison.keys[gained].label)}" if gained else "another mix of calls"
    sign = 1 if part > 0 else -1
    key, effect = max(by_key(comparison.effects, factor).items(), key=lambda item: (item[1] * sign, item[0]))
    if key == REST or effect * sign < CARRIES * part * sign:
        return WORDS[factor][part < 0]
    return f"{WORDS[factor][part < 0]} {_BY[comparison.kind]} {shortened(comparison.keys[key].label)}"


def share(part: float) -> str:
    """A share of the change, in whole per cent."""
    return f"{'−' if part < 0 else ''}{abs(part) * 100:.0f} %"


def period_text(length: int, *, later: bool = False) -> str:
    """The length of the period before (µs), in round numbers. later: it does not end where now begins."""
    minutes, hours = round(length / MINUTE), round(length / HOUR)
    text = f"{minutes} min" if minutes < 50 else "hour" if hours <= 1 else f"{hours} h"
    return f"the {text} before{' the alert' if later else ''}"


def _callers(comparison: Comparison, *, more: bool) -> str:
    """The contributor that makes most of the additional calls, or made most of the missing ones."""
    change = comparison.now.total[0] - comparison.before.total[0]
    for kind in ("user", "key", "prompt", "model"):
        if kind in comparison.fixed:
            continue
        for name, key in sorted(keys_of(kind, comparison.before, comparison.now).items()):
            shifted = comparison.shift(key) if more else -comparison.shift(key)
            if name != REST and (key.now[0] - key.before[0]) / change >= CARRIES and shifted >= SHIFTED:
                return f" {_BY[kind]} {shortened(key.label)}"
    return ""


def _swapped(comparison: Comparison, part: int) -> str:
    """One model in place of another, if that causes this part; else ""."""
    shifts = {name: comparison.shift(key) for name, key in comparison.models.items() if name != REST}
    if "model" in comparison.fixed or not shifts:
        return ""
    mixed = sum(by_key(comparison.split(comparison.models), MIX).values())
    gained, lost = (pick(shifts, key=lambda name: (shifts[name], name)) for pick in (max, min))
    if mixed / part < 1 / 2 or shifts[gained] < SHIFTED or shifts[lost] > -SHIFTED:
        return ""
    return f"{shortened(gained)} instead of {shortened(lost)}"


def shortened(name: str) -> str:
    """A name, cut to LONGEST."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"

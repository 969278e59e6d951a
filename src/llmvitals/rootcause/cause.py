"""The cause of an alert, as a line: why cost, tokens or latency changed, in shares of the change.

    +$212.40 an hour against the hour before: 81 % from longer prompts in answer@v7, 12 % from more calls

The change is split exactly (see stats/lmdi) over the keys of one kind of contributor: prompts if they cover
most of it, else models. The parts are reported factor by factor; a key is named where it causes most of one.
Where nothing can be compared, the line says what little is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.metrics.quantity import amount, span
from llmvitals.rootcause.change import SHIFTED, Comparison, by_key
from llmvitals.rootcause.decomposition import decomposition_of, unlisted
from llmvitals.rootcause.keys import REST, keys_of
from llmvitals.rootcause.recent import KINDS
from llmvitals.sketch import top_k
from llmvitals.stats.lmdi import MIX, VOLUME
from llmvitals.window import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import Reading
    from llmvitals.rootcause.change import Period
    from llmvitals.rootcause.decomposition import Ratio
    from llmvitals.rootcause.recent import RecentContributors

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

MIN_CHANGE: Final = 0.2
"""The least change, as a share of the value before, that has a line."""
LEAST_SHARE: Final = 0.1
"""Parts below this share of the change are left out."""
MOST_PARTS: Final = 3
MIN_CALLS: Final = 10
"""The calls that each period needs."""
MIN_LENGTH: Final = 100 * SECOND
"""The least length of the period before, µs."""


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


def comparable(before: Period, now: Period) -> bool:
    """Whether both periods hold enough to be compared."""
    enough = min(before.total[0], now.total[0]) >= MIN_CALLS
    return enough and before.length >= MIN_LENGTH and now.length > 0


def known_line(metric: str, unit: Unit, lately: Period) -> str:
    """The line for what can't be compared: who has most of it lately.

        in the last 30 s: 95 % of the cost is user u-17

    Returns "" if nobody has most, and for what is no sum of cost or tokens.
    """
    decomposition = decomposition_of(metric, unit)
    if decomposition is None or decomposition.per_call or lately.length <= 0:
        return ""
    place = decomposition.weight
    whole, what = lately.total[place], "cost" if decomposition.unit == "usd" else "tokens"
    for kind in KINDS:
        name, most = max(
            lately.names.get(kind, {}).items(),
            key=lambda item: (item[1][place], item[0]),
            default=("", top_k.NO_SHARE),
        )
        if most[place] and most[place] >= CARRIES * whole:
            part = 100 * most[place] // whole
            return f"in the last {span(lately.length)}: {part} % of the {what} is {kind} {shortened(name)}"
    return ""


def root_cause_line(
    metric: str,
    unit: Unit,
    before: Period,
    now: Period,
    *,
    fixed: Collection[str] = (),
    ratio: Ratio = unlisted,
) -> str:
    """The line for a metric of a rule.

    fixed: kinds of contributors that the series fixes, which explain nothing. ratio: see decomposition.
    Returns "" if the metric is none of cost, tokens and latency, if there are too few calls to compare, or if
    the change is small.
    """
    decomposition = decomposition_of(metric, unit)
    if decomposition is None or not comparable(before, now):
        return ""
    comparison = Comparison(decomposition, before, now, fixed, ratio=ratio)
    if abs(comparison.whole) < max(MIN_CHANGE * comparison.before.total[decomposition.weight], 1):
        return ""
    parts = {factor: sum(by_key(comparison.effects, factor).values()) for factor in (*WORDS, MIX)}
    factors = sorted(parts, key=lambda factor: (-abs(parts[factor]), factor))[:MOST_PARTS]
    texts = [
        f"{share(parts[factor] / comparison.whole)} from {describe(comparison, factor, parts[factor])}"
        for factor in factors
        if abs(parts[factor]) >= LEAST_SHARE * abs(comparison.whole)
    ]
    size = amount(abs(comparison.whole) / decomposition.scale, decomposition.unit)
    per = "a call" if decomposition.per_call else "an hour"
    sign = "+" if comparison.whole > 0 else "−"
    later = before.end < now.end - now.length
    return f"{sign}{size} {per} against {period_text(before.length, later=later)}: {', '.join(texts)}"


class Question(NamedTuple):
    """What is to be explained: a reading of this metric. ratio: see decomposition."""

    metric: str
    unit: Unit
    reading: Reading
    ratio: Ratio


def cause_of(
    question: Question, recent: RecentContributors, kept: dict[str, Any], alert: dict[str, Any]
) -> str:
    """The root-cause line of an alert that fires, or whose value has moved.

    kept: the state of `recent`. alert: the state of the alert, in which the period before it is kept, and as
    "cause" the last line: it remains while the alert fires though the rate is back as it was, or beyond.
    """
    metric, unit, reading, ratio = question
    # Whether a budget burns too fast, or will be overspent, is seen over hours.
    periods = recent.periods(kept, reading.at, alert, slow=bool(reading.facet))
    if periods is None or not comparable(*periods):
        lately = recent.lately(kept, reading.at)
        return known_line(metric, unit, lately) if lately else ""
    line = root_cause_line(metric, unit, *periods, fixed=recent.fixed, ratio=ratio)
    last: str = alert.get("cause", "")
    if not last or line[:1] == last[:1]:
        alert["cause"] = last = line
    return last

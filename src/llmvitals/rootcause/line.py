"""The root-cause line: why cost, tokens or latency changed, in shares of the change.

    +$212.40 an hour against the hour before: 81 % from longer prompts in answer@v7, 12 % from more calls

The change is split exactly (see stats/lmdi) over the keys of one kind of contributor: prompts if they cover
most of it, else models. The parts are reported factor by factor; a key is named where it causes most of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount, span
from llmvitals.rootcause.change import Comparison, by_key
from llmvitals.rootcause.decomposition import decomposition_of, unlisted
from llmvitals.rootcause.recent import KINDS
from llmvitals.rootcause.wording import CARRIES, WORDS, describe, period_text, share, shortened
from llmvitals.sketch import top_k
from llmvitals.stats.lmdi import MIX
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmvitals.record.alert import Unit
    from llmvitals.rootcause.change import Period
    from llmvitals.rootcause.decomposition import Ratio

MIN_CHANGE: Final = 0.2
"""The least change, as a share of the value before, that has a line."""
LEAST_SHARE: Final = 0.1
"""Parts below this share of the change are left out."""
MOST_PARTS: Final = 3
MIN_CALLS: Final = 10
"""The calls that each period needs."""
MIN_LENGTH: Final = 100 * SECOND
"""The least length of the period before, µs."""


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

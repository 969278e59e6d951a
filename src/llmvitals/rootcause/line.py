"""The root-cause line: why money, tokens or latency are not what they were, in shares of the change.

    +$212.40 an hour against the hour before: 81 % from longer prompts in answer@v7, 12 % from more calls

The change is split exactly (see lmdi) over the keys of one kind of contributor, prompts if most of it has
one, else models, and read factor by factor; a key is named where it carries a factor's part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount
from llmvitals.rootcause.change import Case, by_key
from llmvitals.rootcause.phrase import WORDS, before, said, share
from llmvitals.rootcause.products import subject
from llmvitals.stats.lmdi import MIX
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmvitals.record.alert import Unit
    from llmvitals.rootcause.change import Span

LEAST: Final = 0.2
"""A change of less than this share of what was before is not worth a line."""
TOLD: Final = 0.1
"""A part of less than this share of the change is left out."""
PARTS: Final = 3
FEW: Final = 10
"""Calls below which a time is too thin to say anything of it."""
SHORTEST: Final = 100 * SECOND
"""What the time before has to have."""


def line(metric: str, unit: Unit, usual: Span, now: Span, *, fixed: Collection[str] = ()) -> str:
    """The line for a metric of a rule; usual: the time before.

    fixed: kinds of contributors that the series fixes, which explain nothing. "" where the metric is none of
    money, tokens or latency, where there is too little to compare with, and where not much has changed.
    """
    about = subject(metric, unit)
    thin = min(usual.total[0], now.total[0]) < FEW or usual.length < SHORTEST or not now.length
    if about is None or thin:
        return ""
    case = Case(about, usual, now, fixed)
    if abs(case.whole) < max(LEAST * case.before.total[about.weight], 1):
        return ""
    parts = {factor: sum(by_key(case.effects, factor).values()) for factor in (*WORDS, MIX)}
    told = sorted(parts, key=lambda factor: (-abs(parts[factor]), factor))[:PARTS]
    texts = [
        f"{share(parts[factor] / case.whole)} from {said(case, factor, parts[factor])}"
        for factor in told
        if abs(parts[factor]) >= TOLD * abs(case.whole)
    ]
    size = amount(abs(case.whole) / about.scale, about.unit)
    per = "a call" if about.each else "an hour"
    return f"{'+' if case.whole > 0 else '−'}{size} {per} against {before(usual.length)}: {', '.join(texts)}"

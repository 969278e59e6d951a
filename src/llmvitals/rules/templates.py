"""Templates of alert texts: a fixed list of names is replaced, and nothing is evaluated."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.record.reading import Reading
    from llmvitals.rules.rule import Rule

NAMES: Final = (
    "rule", "series", "metric", "value", "limit", "percent", "window", "level", "severity", "note",
)  # fmt: skip
"""Names for all templates; others are the rule's labels and the dimensions in its `by`."""


def mistakes(template: str, names: Iterable[str]) -> str | None:
    """The mistake in a template, or None; names: those it may use."""
    allowed = list(names)
    try:
        for _, name, spec, conversion in Formatter().parse(template):
            if name is None:
                continue
            if spec or conversion:
                return f"{{{name}}} takes no format: write just {{{name}}}"
            if name not in allowed:
                return (
                    f"{{{name}}} is not a name: write one of {', '.join(f'{{{known}}}' for known in allowed)}"
                )
    except ValueError:
        return "unbalanced brace: write {{ or }} for a literal one"
    return None


def rendered(template: str, names: Mapping[str, str]) -> str:
    """Fill in a template in which `mistakes` found nothing."""
    return "".join(
        literal + (names.get(name, "") if name is not None else "")
        for literal, name, _, _ in Formatter().parse(template)
    )


def values(rule: Rule, series: Mapping[str, str], reading: Reading) -> dict[str, str]:
    """The text for each name that the rule's templates may use, and `unpriced` for those of its kind."""
    condition, unit = rule.condition, "count" if reading.gone else rule.condition.unit
    return {
        **rule.labels,
        "rule": rule.name,
        "series": ", ".join(f"{name}={value}" for name, value in series.items()) or "all calls",
        "metric": "calls" if reading.gone else condition.metric,
        "value": ("at least " if reading.unpriced else "") + amount(reading.value, unit),
        "limit": amount(reading.limit, unit),
        "percent": percent(reading.value, reading.limit),
        "window": condition.window_text,
        "level": reading.level,
        "severity": rule.severity_at(reading.level),
        "note": reading.note,
        "unpriced": _unpriced(reading),
        **series,
    }


def _unpriced(reading: Reading) -> str:
    """The end of a sentence about calls without a price; "" where all have one."""
    if reading.unpriced is None:
        return ""
    unpriced, calls = reading.unpriced
    return f"; {unpriced:,} of {calls:,} calls have no price"

"""Templates of alert texts: a fixed list of names is replaced, and nothing is evaluated."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Final

from llmvitals.errors import near
from llmvitals.metrics.quantity import amount, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.record.reading import Reading
    from llmvitals.rules.rule import Rule

NAMES: Final = (
    "rule", "series", "metric", "value", "limit", "percent", "window", "level", "severity", "note",
)  # fmt: skip
"""Names for all templates; others are the rule's labels and the dimensions in its `by`."""


_DOUBLE: Final = re.compile(r"\{\{-?\s*([^{}]*?)\s*-?\}\}")
_DOLLAR: Final = re.compile(r"\$(?:labels|externalLabels|values?)\b(?:\.\w+)*")
_SHELL: Final = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_WORDS: Final = frozenset(
    ("range", "if", "else", "end", "with", "template", "define", "block", "printf", "print", "println")
)
"""Words of Go's templates."""


def foreign(text: str, names: Iterable[str]) -> str | None:
    """The mistake of a text that is written in the templates of Go or Jinja, or None.

    >>> foreign("{{ $labels.team }} is slow", ["team"])
    "'{{ $labels.team }}' would be shown as it is: write {team}"
    """
    allowed = {name.lower(): name for name in names}
    for match in (*_DOUBLE.finditer(text), *_DOLLAR.finditer(text)):
        inside = match[1] if match.re is _DOUBLE else match[0]
        name = re.split(r"[\s|]", inside, maxsplit=1)[0]
        last = name.lstrip("$.").rpartition(".")[2].lower()
        last = {"alertname": "rule", "values": "value"}.get(last, last)
        bare = inside == name and "." not in name  # which may be meant: a name in braces
        if name in _WORDS or name.startswith(("$", ".")) or (last in allowed and not bare):
            found = allowed.get(last) or (near(last, allowed.values()) if last else None)
            cure = f"{{{found}}}" if found else f"one of {_listed(allowed.values())}"
            return f"{match[0]!r} would be shown as it is: write {cure}"
    return None


def doubts(text: str, names: Iterable[str]) -> str | None:
    """What a template most likely does not mean, or None."""
    if match := _SHELL.search(text):
        return f"{match[0]} would be shown with its $: write {{{match[1]}}}"
    match = next((match for match in _DOUBLE.finditer(text) if match[1] in set(names)), None)
    return f"{match[0]!r} would be shown in braces, as it is: write {{{match[1]}}}" if match else None


def mistakes(template: str, names: Iterable[str]) -> str | None:
    """The mistake in a template, or None; names: those it may use."""
    allowed = list(names)
    if found := foreign(template, allowed):
        return found
    try:
        for _, name, spec, conversion in Formatter().parse(template):
            if name is None:
                continue
            if spec or conversion:
                return f"{{{name}}} takes no format: write just {{{name}}}"
            if name not in allowed:
                if found := near(name, allowed):
                    return f"{{{name}}} is not a name: did you mean {{{found}}}?"
                return f"{{{name}}} is not a name: write one of {_listed(allowed)}"
    except ValueError:
        return "unbalanced brace: write {{ or }} for a literal one"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


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

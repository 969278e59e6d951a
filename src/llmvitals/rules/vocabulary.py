"""The labels that alerts of some rules can have, and their values; finds matchers that match none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmvitals.errors import near
from llmvitals.rules.models import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llmvitals.record.matcher import Matcher
    from llmvitals.rules.rule import Rule

EVERY_ALERT: Final = ("rule", "kind", "severity")
"""Labels that every alert has."""
CLOSED: Final = ("kind", "severity")
"""Labels whose values are the same in every installation."""
MOST: Final = 20
"""The most values that a message lists."""
_ALTERNATIVES: Final = re.compile(r"[^()\[\]{}.*+?^$\\]+")


def decided(matcher: Matcher, rule: Rule) -> bool | None:
    """Whether all alerts of a rule match; None if that depends on the series or the level of an alert."""
    if matcher.name in rule.condition.by:
        return None
    kind = rule.condition.kind
    match = matcher.matches({**rule.labels, "rule": rule.name, "kind": kind, "severity": rule.severity})
    if matcher.name == "severity" and rule.condition.critical_levels:
        critical = matcher.matches({"severity": "critical"})
        return match if match == critical else None
    return match


def label_names(rule: Rule) -> frozenset[str]:
    """The labels that the alerts of a rule have."""
    return frozenset((*EVERY_ALERT, *rule.labels, *rule.condition.by))


class Vocabulary:
    """The labels of the alerts of some rules, and their values.

    labels: names of labels that may exist beside those of the rules. names: of all rules. kinds: all kinds.
    """

    def __init__(
        self, rules: Sequence[Rule], labels: Iterable[str], names: Collection[str], kinds: Collection[str]
    ) -> None:
        self.rules, self._values = rules, {"rule": names, "kind": kinds, "severity": SEVERITIES}
        self.open = {name for rule in rules for name in rule.condition.by}
        self.present = {*EVERY_ALERT, *labels, *self.open}

    def values(self, name: str) -> Collection[str] | None:
        """All values that a label can have; None if it may be any text."""
        if name in self._values:
            return self._values[name]
        found = sorted({rule.labels[name] for rule in self.rules if name in rule.labels})
        return None if name in self.open or not found else found

    def matching(self, matchers: Iterable[Matcher]) -> list[Rule]:
        """The rules whose alerts may match all matchers."""
        matchers = list(matchers)
        return [rule for rule in self.rules if all(decided(each, rule) is not False for each in matchers)]

    def unknown(self, matcher: Matcher) -> list[str]:
        """The words of a matcher that are no value of its label."""
        values = self.values(matcher.name)
        if not values or not matcher.value or (matcher.op[0] == "!" and matcher.name not in EVERY_ALERT):
            return []
        if matcher.op in ("=", "!="):
            return [] if matcher.value in values else [matcher.value]
        if _ALTERNATIVES.fullmatch(matcher.value):
            return [word for word in matcher.value.split("|") if word and word not in values]
        hits = (matcher.matches({matcher.name: value}) == (matcher.op == "=~") for value in values)
        return [] if any(hits) else [matcher.value]

    def message(self, name: str, word: str) -> str:
        """Says that no alert has this value of a label, and which one may be meant."""
        values = list(self.values(name) or ())
        what = {"rule": "there is no rule", "kind": "there is no kind", "severity": "there is no severity"}
        found = near(word, values)
        cure = f"did you mean {found}?" if found else f"write one of {', '.join(values[:MOST])}"
        return f"{what.get(name, f'no rule has the {name}')} {word!r}: {cure}"

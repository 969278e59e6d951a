"""Reads the `notify:` section, and checks it against the rules."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmvitals.record.view import DIMENSIONS
from llmvitals.routing import EACH, Routing
from llmvitals.rules.notify_models import InhibitModel, MuteModel, NotifyModel, RouteModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from llmvitals.record.matcher import Matcher
    from llmvitals.rules.model_reader import ModelReader
    from llmvitals.rules.rule import Rule
    from llmvitals.rules.yaml_reader import Path

    Shape = TypeVar("Shape", bound=BaseModel)

EVERY_ALERT: Final = ("rule", "kind", "severity")
"""Labels that every alert has."""
_TAG: Final = re.compile(r"tags\.[A-Za-z0-9_.-]{1,64}")


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


class NotifySection:
    """Reads the section at ("notify",) of a reader's document; mistakes are added to the reader.

    labels: the labels of rules and groups. warnings: parts without any effect.
    """

    def __init__(self, reader: ModelReader, rules: Sequence[Rule], labels: Iterable[str]) -> None:
        self.reader, self.rules, self.warnings = reader, rules, list[str]()
        self.present = {*EVERY_ALERT, *labels, *(name for rule in rules for name in rule.condition.by)}

    def read(self, data: Any) -> Routing:
        """The routing, as far as it can be read."""
        root = self.reader.read(NotifyModel, data, ("notify",))
        if root is None:
            return Routing()
        self._known(root.group_by or (), ("notify", "group_by"))
        mutes = [mute.made() for _, mute in self._each(MuteModel, "mute_times", root.mute_times)]
        names = [mute.name for mute in mutes]
        routes = list(self._each(RouteModel, "routes", root.routes))
        for path, route in routes:
            self._route(route, path, names)
        self._reach(routes)
        self._mutes(names, {name for _, route in routes for name in route.mute})
        inhibits = list(self._each(InhibitModel, "inhibit", root.inhibit))
        for path, inhibit in inhibits:
            for side in ("source", "target"):
                self._matchers(getattr(inhibit, side), (*path, side))
            self._known(inhibit.equal, (*path, "equal"))
            if set(inhibit.source) == set(inhibit.target):
                self.reader.report("source and target are the same: an alert does not mute itself", path)
        made = [route.made(root) for _, route in routes]
        if all(route.matchers for route in made):
            made.append(RouteModel.model_validate({}).made(root))
        return Routing(
            tuple(made), tuple(inhibit.made() for _, inhibit in inhibits), {mute.name: mute for mute in mutes}
        )

    def _each(self, shape: type[Shape], key: str, data: list[Any]) -> Iterable[tuple[Path, Shape]]:
        for number, entry in enumerate(data):
            path: Path = ("notify", key, number)
            made = self.reader.read(shape, entry, path)
            if made is not None:
                yield path, made

    def _route(self, route: RouteModel, path: Path, mutes: Sequence[str]) -> None:
        self._matchers(route.match, (*path, "match"))
        self._known(route.group_by or (), (*path, "group_by"))
        for number, name in enumerate(route.mute):
            if name not in mutes:
                near = difflib.get_close_matches(name, mutes, n=1)
                cure = f"did you mean {near[0]}?" if near else "add it to mute_times"
                self.reader.report(f"there is no mute time {name!r}: {cure}", (*path, "mute", number))

    def _matchers(self, matchers: Sequence[Matcher], path: Path) -> None:
        self._known([matcher.name for matcher in matchers], path, each=True)
        for rule in self.rules:
            if all(decided(matcher, rule) is not False for matcher in matchers):
                return
        if self.rules and any(matcher.name == "rule" and matcher.op in ("=", "=~") for matcher in matchers):
            self.warnings.append(f"{self.reader.document.place(path)}: no rule's alerts match this")

    def _known(self, names: Iterable[str], path: Path, *, each: bool = False) -> None:
        """Report labels that no alert can have; each: every name has a place of its own."""
        for number, name in enumerate(names):
            place = (*path, number) if each or (*path, number) in self.reader.document.values else path
            if name in self.present or name == EACH:
                continue
            if name in DIMENSIONS or _TAG.fullmatch(name):
                self.warnings.append(
                    f"{self.reader.document.place(place)}: no rule has the label {name} (none is by it)"
                )
                continue
            near = difflib.get_close_matches(name, [*self.present, *DIMENSIONS], n=1, cutoff=0.6)
            cure = f"did you mean {near[0]}?" if near else "write a label or a dimension of a rule"
            self.reader.report(f"no alert has the label {name!r}: {cure}", place)

    def _reach(self, routes: Sequence[tuple[Path, RouteModel]]) -> None:
        taken: dict[frozenset[str], Path] = {}
        for path, route in routes:
            matchers = frozenset(map(str, route.match))
            before = next((other for other in taken if other <= matchers), None)
            if before is not None:
                line = self.reader.document.values[taken[before]][0]
                why = "takes all of these alerts" if before else "takes every alert"
                self.reader.report(
                    f"unreachable: the route in line {line} {why}; put this one before it", path
                )
            taken.setdefault(matchers, path)

    def _mutes(self, names: Sequence[str], used: set[str]) -> None:
        for number, name in enumerate(names):
            path: Path = ("notify", "mute_times", number)
            if name in names[:number]:
                self.reader.report(f"{name} is already a mute time: choose another name", (*path, "name"))
            elif name not in used:
                place = self.reader.document.place(path)
                self.warnings.append(f"{place}: no route uses the mute time {name}: it has no effect")

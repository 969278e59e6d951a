"""Reads the `notify:` section, and checks it against the rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmvitals.errors import near
from llmvitals.record.view import DIMENSIONS
from llmvitals.routing import EACH, Routing
from llmvitals.rules.notify_models import InhibitModel, MuteModel, NotifyModel, RouteModel
from llmvitals.rules.vocabulary import CLOSED, label_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from llmvitals.record.matcher import Matcher
    from llmvitals.rules.model_reader import ModelReader
    from llmvitals.rules.rule import Rule
    from llmvitals.rules.vocabulary import Vocabulary
    from llmvitals.rules.yaml_reader import Path

    Shape = TypeVar("Shape", bound=BaseModel)

_SIDES: Final = ("source", "target")
_TAG: Final = re.compile(r"tags\.[A-Za-z0-9_.-]{1,64}")


class NotifySection:
    """Reads the section at ("notify",) of a reader's document; mistakes and warnings go to the reader."""

    def __init__(self, reader: ModelReader, words: Vocabulary) -> None:
        self.reader, self.words = reader, words

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
            self._inhibit(inhibit, path)
        line = self.reader.document.line
        made = [route.made(root, line(path)) for path, route in routes]
        if all(route.matchers for route in made):
            made.append(RouteModel.model_validate({}).made(root, line(("notify",))))
        inhibitions = tuple(inhibit.made(line(path)) for path, inhibit in inhibits)
        return Routing(tuple(made), inhibitions, {mute.name: mute for mute in mutes})

    def _each(self, shape: type[Shape], key: str, data: list[Any]) -> Iterable[tuple[Path, Shape]]:
        for number, entry in enumerate(data):
            path: Path = ("notify", key, number)
            made = self.reader.read(shape, entry, path)
            if made is not None:
                yield path, made

    def _route(self, route: RouteModel, path: Path, mutes: Sequence[str]) -> None:
        rules = self._matchers(route.match, (*path, "match"))
        self._known(route.group_by or (), (*path, "group_by"))
        self._shared(rules, route.group_by or (), (*path, "group_by"))
        for number, name in enumerate(route.mute):
            if name not in mutes:
                found = near(name, mutes)
                cure = f"did you mean {found}?" if found else "add it to mute_times"
                self.reader.report(f"there is no mute time {name!r}: {cure}", (*path, "mute", number))

    def _inhibit(self, inhibit: InhibitModel, path: Path) -> None:
        sources, targets = (self._matchers(getattr(inhibit, side), (*path, side)) for side in _SIDES)
        self._known(inhibit.equal, (*path, "equal"))
        if set(inhibit.source) == set(inhibit.target):
            self.reader.report("source and target are the same: an alert does not mute itself", path)
        equal = frozenset(inhibit.equal)
        pairs = [(source, target) for source in sources for target in targets]
        if pairs and not any(
            equal & label_names(source) == equal & label_names(target) for source, target in pairs
        ):
            why = "it mutes nothing: of the labels in equal, sources and targets never have the same"
            self.reader.warn(why, (*path, "equal"))

    def _matchers(self, matchers: Sequence[Matcher], path: Path) -> list[Rule]:
        """Check matchers; returns the rules whose alerts may match."""
        self._known([matcher.name for matcher in matchers], path, each=True)
        unknown = False
        for number, matcher in enumerate(matchers):
            words = self.words.unknown(matcher)
            dead = not any(map(matcher.matches, self._marks(matcher.name)))
            for word in words:
                message = self.words.message(matcher.name, word)
                add = self.reader.report if dead and matcher.name in CLOSED else self.reader.warn
                add(message, (*path, number))
            unknown = unknown or bool(words)
        rules = self.words.matching(matchers)
        named = any(matcher.name == "rule" and matcher.op in ("=", "=~") for matcher in matchers)
        if self.words.rules and not rules and named and not unknown:
            self.reader.warn("no rule's alerts match this", path)
        return rules

    def _marks(self, name: str) -> list[dict[str, str]]:
        """Every value of a label, as an alert has it."""
        return [{name: value} for value in self.words.values(name) or ()]

    def _shared(self, rules: Sequence[Rule], group_by: Iterable[str], path: Path) -> None:
        """Warn of labels that no alert of a route has, while other alerts have them."""
        for number, name in enumerate(group_by):
            if name in self.words.open and rules and not any(name in label_names(rule) for rule in rules):
                self.reader.warn(f"no alert that goes here has the label {name}", (*path, number))

    def _known(self, names: Iterable[str], path: Path, *, each: bool = False) -> None:
        """Report labels that no alert can have; each: every name has a place of its own."""
        present = self.words.present
        for number, name in enumerate(names):
            place = (*path, number) if each or (*path, number) in self.reader.document.values else path
            if name in present or name == EACH:
                continue
            if name in DIMENSIONS or _TAG.fullmatch(name):
                self.reader.warn(f"no rule has the label {name} (none is by it)", place)
                continue
            found = near(name, [*present, *DIMENSIONS])
            cure = f"did you mean {found}?" if found else "write a label or a dimension of a rule"
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
                self.reader.warn(f"no route uses the mute time {name}: it has no effect", path)

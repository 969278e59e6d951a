"""Loads the rules of a folder of YAML files. Each mistake names its place and what to write instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from llmvitals.errors import RuleError, spot
from llmvitals.record.view import DEFAULT_VIEWS, View
from llmvitals.routing import Routing
from llmvitals.rules.files import place_of, raise_all, rule_files
from llmvitals.rules.model_reader import ModelReader
from llmvitals.rules.models import FOREIGN, File, Group, RuleModel
from llmvitals.rules.notify_section import NotifySection
from llmvitals.rules.rule import Rule, Rules
from llmvitals.rules.templates import NAMES, doubts, mistakes
from llmvitals.rules.views import Views
from llmvitals.rules.vocabulary import Vocabulary
from llmvitals.rules.yaml_reader import Path, read_file
from llmvitals.window import duration_text

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Mapping, Sequence

    from llmvitals.record.reading import NoData
    from llmvitals.rules.condition.kind import Kind

    Kinds = Mapping[str, type[Kind]]


def load_rules(
    folder: pathlib.Path,
    pane: int,
    kinds: Kinds,
    *,
    views: Sequence[View] = DEFAULT_VIEWS,
    only: Collection[str] = (),
) -> Rules:
    """Load all rules in `*.yaml` and `*.yml` of a folder, except `*_test.yaml`.

    pane: µs. kinds: key → kind. views: existing views, which rules use where they fit. only: names of files;
    empty: all. Raises one RuleError that lists all mistakes; its place is that of the first.
    """
    loader = _Loader(pane, kinds, Views(views))
    for path in rule_files(folder):
        if not only or path.name in only:
            loader.file(path)
    routing = loader.routing()
    raise_all(loader.errors)
    notes = [str(warning) for warning in sorted(loader.warnings, key=place_of)]
    if not loader.rules:
        notes = [f"No alert rules in {folder}: there will be no alerts."]
    return replace(loader.views.rules(loader.rules, tuple(notes)), routing=routing)


class _Loader:
    def __init__(self, pane: int, kinds: Kinds, views: Views) -> None:
        self.pane, self.kinds, self.views = pane, kinds, views
        self.rules: list[Rule] = []
        self.errors: list[RuleError] = []
        self.seen: dict[str, str] = {}
        self.warnings: list[RuleError] = []
        self.labels: set[str] = set()
        self.names: dict[str, None] = {}
        self.notify: tuple[ModelReader, Any] | None = None

    def routing(self) -> Routing:
        """The routing of the `notify:` section, read after all rules."""
        if self.notify is None:
            return Routing()
        reader, data = self.notify
        errors, warnings = len(reader.errors), len(reader.warnings)
        words = Vocabulary(self.rules, self.labels, self.names, self.kinds)
        routing = NotifySection(reader, words).read(data)
        self.errors.extend(reader.errors[errors:])
        self.warnings.extend(reader.warnings[warnings:])
        return routing

    def file(self, path: pathlib.Path) -> None:
        try:
            document = read_file(path)
        except RuleError as error:
            self.errors.append(error)
            return
        if document.data is None:
            return
        reader = ModelReader(document, self.pane)
        whole = reader.read(File, document.data, ())
        if whole and not whole.model_fields_set:
            reader.report("groups is missing: add it", ())
        if whole and "notify" in whole.model_fields_set:
            self._notify(reader, whole.notify)
        for number, data in enumerate(whole.groups if whole else ()):
            path_of_group: Path = ("groups", number)
            group = reader.read(Group, data, path_of_group)
            for place, rule in enumerate(group.rules if group else ()):
                self._rule(reader, cast("Group", group), rule, (*path_of_group, "rules", place))
        self.errors.extend(reader.errors)
        self.warnings.extend(reader.warnings)

    def _notify(self, reader: ModelReader, data: Any) -> None:
        if self.notify is None:
            self.notify = reader, data
            return
        there = self.notify[0].document
        line = there.keys["notify",][0]
        reader.report(f"notify is already in {there.file}:{line}: put all of it there", ("notify",), key=True)

    def _rule(self, reader: ModelReader, group: Group, data: Any, path: Path) -> None:
        if not reader.is_mapping(data, path):
            return
        # Names and labels of invalid rules count too, so that routes that match them are not reported.
        self.names[str(data.get("alert"))] = None
        own = data.get("labels")
        self.labels |= {*group.labels, *(own if isinstance(own, dict) else ())}
        kinds = [key for key in data if key in self.kinds]
        plain = {key: value for key, value in data.items() if key not in kinds}
        rule = reader.read(RuleModel, plain, path, beside=tuple(self.kinds), foreign=FOREIGN)
        if len(kinds) > 1 or (rule and not kinds):
            reader.report(f"a rule has one condition: write one of {', '.join(self.kinds)}", path)
        conditions = [reader.read(self.kinds[key], data[key], (*path, key)) for key in kinds]
        if rule is None or len(conditions) != 1 or conditions[0] is None:
            return
        condition = conditions[0]
        made = Rule(
            name=rule.alert,
            group=group.name,
            condition=condition,
            view=self.views.name(condition),
            hold=rule.hold,
            keep=rule.keep_firing_for,
            no_data=cast("NoData", rule.no_data or condition.no_data),
            labels={**group.labels, **rule.labels},
            annotations=rule.annotations,
            notify=rule.notify,
            place=reader.document.line((*path, "alert")),
        )
        self._check(reader, made, rule.model_fields_set, path)
        self.rules.append(made)

    def _check(self, reader: ModelReader, rule: Rule, written: set[str], path: Path) -> None:
        """Check the rule as a whole; written: the fields that it sets itself."""
        if rule.name in self.seen:
            reader.report(
                f"{rule.name} is already a rule in {self.seen[rule.name]}: choose another name",
                (*path, "alert"),
            )
        self.seen[rule.name] = rule.place
        condition = rule.condition
        for key, field in (("for", "hold"), ("keep_firing_for",) * 2, ("no_data",) * 2):
            if not condition.lasting and field in written:
                kind = f"{'an' if condition.kind[0] in 'aeiou' else 'a'} {condition.kind}"
                reader.report(f"{kind} takes no {key}: leave it out", (*path, key), key=True)
        for label in rule.labels:
            if label in condition.by:
                reader.report(
                    f"{label} is a dimension of this rule: choose another name for the label",
                    (*path, "labels", label),
                    key=True,
                )
        self._check_texts(reader, rule, path)
        self._warn(reader, rule, path)

    def _check_texts(self, reader: ModelReader, rule: Rule, path: Path) -> None:
        names = dict.fromkeys((*NAMES, *rule.condition.by, *rule.labels))
        for name, template in rule.annotations.items():
            if mistake := mistakes(template, names):
                reader.report(mistake, (*path, "annotations", name))
            elif doubt := doubts(template, names):
                reader.warn(doubt, (*path, "annotations", name))

    def _warn(self, reader: ModelReader, rule: Rule, path: Path) -> None:
        """Warn of what is allowed, but most likely not meant."""
        for place, warning in rule.condition.warnings.items():
            reader.warn(warning, (*path, rule.condition.kind, *spot(place)))
        for key, length in (("for", rule.hold), ("keep_firing_for", rule.keep)):
            if length % reader.pane:
                up = duration_text(length - length % reader.pane + reader.pane)
                reader.warn(f"a pane is {duration_text(reader.pane)} long, so this is {up}", (*path, key))

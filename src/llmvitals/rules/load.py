"""A folder of YAML → rules. Every mistake is told with its place and what to write instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from llmvitals.errors import RuleError
from llmvitals.record.view import DEFAULT_VIEWS, View
from llmvitals.routing import Routing
from llmvitals.rules.files import raise_all, rule_files
from llmvitals.rules.form import Form
from llmvitals.rules.notify_section import Section
from llmvitals.rules.rule import Rule, Rules
from llmvitals.rules.shape import FOREIGN, File, Group, RuleShape
from llmvitals.rules.templates import NAMES, mistakes
from llmvitals.rules.views import Views
from llmvitals.rules.yaml_places import Path, opened

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
    """All rules in `*.yaml` and `*.yml` of a folder, but for `*_test.yaml`; only: files to read, by name.

    pane: µs. kinds: key → kind. views: those that are there anyway,
    which rules use where they fit. Raises one RuleError that tells all mistakes, the first at its place.
    """
    reader = _Reader(pane, kinds, Views(views))
    for path in rule_files(folder):
        if not only or path.name in only:
            reader.file(path)
    routing, notes = reader.routing()
    raise_all(reader.errors)
    if not reader.rules:
        notes = [f"No alert rules in {folder}: nothing will be said."]
    return replace(reader.views.rules(reader.rules, tuple(notes)), routing=routing)


class _Reader:
    def __init__(self, pane: int, kinds: Kinds, views: Views) -> None:
        self.pane, self.kinds, self.views = pane, kinds, views
        self.rules: list[Rule] = []
        self.errors: list[RuleError] = []
        self.seen: dict[str, str] = {}
        self.labels: set[str] = set()
        self.notify: tuple[Form, Any] | None = None

    def routing(self) -> tuple[Routing, list[str]]:
        """What the section says, once all rules are read; and warnings."""
        if self.notify is None:
            return Routing(), []
        form, data = self.notify
        before = len(form.errors)
        section = Section(form, self.rules, self.labels)
        routing = section.read(data)
        self.errors.extend(form.errors[before:])
        return routing, section.warnings

    def file(self, path: pathlib.Path) -> None:
        try:
            document = opened(path)
        except RuleError as error:
            self.errors.append(error)
            return
        if document.data is None:
            return
        form = Form(document, self.pane)
        whole = form.read(File, document.data, ())
        if whole and not whole.model_fields_set:
            form.wrong("groups is missing: add it", ())
        if whole and "notify" in whole.model_fields_set:
            self._notify(form, whole.notify)
        for number, data in enumerate(whole.groups if whole else ()):
            path_of_group: Path = ("groups", number)
            group = form.read(Group, data, path_of_group)
            for place, rule in enumerate(group.rules if group else ()):
                self._rule(form, cast("Group", group), rule, (*path_of_group, "rules", place))
        self.errors.extend(form.errors)

    def _notify(self, form: Form, data: Any) -> None:
        if self.notify is None:
            self.notify = form, data
            return
        there = self.notify[0].document
        line = there.keys["notify",][0]
        form.wrong(
            f"notify stands in {there.file}:{line} already: put all of it there", ("notify",), key=True
        )

    def _rule(self, form: Form, group: Group, data: Any, path: Path) -> None:
        if not form.mapping(data, path):
            return
        # Also of a rule that is wrong: what routes by its labels is right.
        own = data.get("labels")
        self.labels |= {*group.labels, *(own if isinstance(own, dict) else ())}
        kinds = [key for key in data if key in self.kinds]
        plain = {key: value for key, value in data.items() if key not in kinds}
        rule = form.read(RuleShape, plain, path, beside=tuple(self.kinds), foreign=FOREIGN)
        if len(kinds) > 1 or (rule and not kinds):
            form.wrong(f"a rule has one condition: write one of {', '.join(self.kinds)}", path)
        conditions = [form.read(self.kinds[key], data[key], (*path, key)) for key in kinds]
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
        )
        self._check(form, made, rule.model_fields_set, path)
        self.rules.append(made)

    def _check(self, form: Form, rule: Rule, written: set[str], path: Path) -> None:
        """What only shows when the rule is looked at as a whole; written: fields that it names itself."""
        if rule.name in self.seen:
            form.wrong(
                f"{rule.name} is a rule in {self.seen[rule.name]}: choose another name", (*path, "alert")
            )
        self.seen[rule.name] = f"{form.document.file}:{form.document.values[*path, 'alert'][0]}"
        condition = rule.condition
        for key, field in (("for", "hold"), ("keep_firing_for",) * 2, ("no_data",) * 2):
            if not condition.lasting and field in written:
                kind = f"{'an' if condition.kind[0] in 'aeiou' else 'a'} {condition.kind}"
                form.wrong(f"{kind} takes no {key}: leave it out", (*path, key), key=True)
        for label in rule.labels:
            if label in condition.by:
                form.wrong(
                    f"{label} is a dimension of this rule: name the label otherwise",
                    (*path, "labels", label),
                    key=True,
                )
        for name, template in rule.annotations.items():
            mistake = mistakes(template, dict.fromkeys((*NAMES, *condition.by, *rule.labels)))
            if mistake:
                form.wrong(mistake, (*path, "annotations", name))

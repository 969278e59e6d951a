"""`*_test.yaml` → tests. Every mistake is told with its place and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmvitals.errors import RuleError, suggestion
from llmvitals.rules.files import raise_all, rule_files
from llmvitals.rules.form import Form
from llmvitals.rules.yaml_places import Path, opened
from llmvitals.ruletest.calls import calls
from llmvitals.ruletest.case import Case, Expect, Suite, Wanted
from llmvitals.ruletest.shape import AlertShape, CaseShape, ExpectShape, FileShape

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Iterator

_SAID = ("severity", "level", "facet", "verdict", "summary", "note", "cause")


def load_tests(folder: pathlib.Path, names: Collection[str], pane: int) -> list[Suite]:
    """The tests in `*_test.yaml` and `*_test.yml` of a folder.

    names: the rules that there are. pane: µs, where a file says nothing. Raises one RuleError that tells all
    mistakes, the first at its place.
    """
    reader = _Reader(folder, names, pane)
    suites = [suite for path in rule_files(folder, tests=True) for suite in reader.file(path)]
    raise_all(reader.errors)
    return suites


class _Reader:
    def __init__(self, folder: pathlib.Path, names: Collection[str], pane: int) -> None:
        self.names, self.pane = names, pane
        self.files = [path.name for path in rule_files(folder)]
        self.errors: list[RuleError] = []

    def file(self, path: pathlib.Path) -> Iterator[Suite]:
        try:
            document = opened(path)
        except RuleError as error:
            self.errors.append(error)
            return
        form = Form(document, self.pane)
        whole = form.read(FileShape, document.data if document.data is not None else {}, ())
        if whole:
            for number, name in enumerate(whole.rules):
                if name not in self.files:
                    form.wrong(
                        f"there is no file {name!r} of rules here{suggestion(name, self.files)}",
                        self._entry(form, ("rules",), number),
                    )
            cases = [
                case
                for number, data in enumerate(whole.tests)
                if (case := self._case(form, data, ("tests", number), whole.start))
            ]
            self._unique(form, cases)
            yield Suite(path, tuple(whole.rules), whole.pane or self.pane, tuple(cases))
        self.errors.extend(form.errors)

    def _unique(self, form: Form, cases: list[Case]) -> None:
        seen: dict[str, int] = {}
        for number, case in enumerate(cases):
            if case.name in seen:
                form.wrong(
                    f"{case.name!r} is a test in line {seen[case.name]}: choose another name",
                    ("tests", number, "name"),
                )
            seen.setdefault(case.name, case.line)

    def _case(self, form: Form, data: Any, path: Path, start: int) -> Case | None:
        shape = form.read(CaseShape, data, path)
        if shape is None:
            return None
        self._known(form, shape.only, (*path, "only"))
        lines = [calls(form, line, (*path, "calls", number)) for number, line in enumerate(shape.calls)]
        wanted = [self._expect(form, one, (*path, "expect", n)) for n, one in enumerate(shape.expect)]
        return Case(
            shape.name,
            form.document.values[path][0],
            start if shape.start is None else shape.start,
            tuple(shape.only),
            tuple(line for line in lines if line),
            tuple(one for one in wanted if one),
        )

    def _expect(self, form: Form, data: Any, path: Path) -> Expect | None:
        shape = form.read(ExpectShape, data, path)
        if shape is None:
            return None
        self._known(form, shape.never, (*path, "never"))
        line = form.document.values[path][0]
        if shape.at is None or shape.alerts is None:
            return Expect(line, never=tuple(shape.never))
        alerts = [self._wanted(form, one, (*path, "alerts", n)) for n, one in enumerate(shape.alerts)]
        return Expect(line, shape.at, tuple(alert for alert in alerts if alert))

    def _wanted(self, form: Form, data: Any, path: Path) -> Wanted | None:
        shape = form.read(AlertShape, data, path)
        if shape is None:
            return None
        self._known(form, [shape.alert], (*path, "alert"))
        said = {name: text for name in _SAID if (text := getattr(shape, name)) is not None}
        line = form.document.values[path][0]
        return Wanted(shape.alert, shape.status, said, shape.labels, shape.annotations, line)

    def _known(self, form: Form, names: list[str], path: Path) -> None:
        for number, name in enumerate(names):
            if name not in self.names:
                place = self._entry(form, path, number)
                form.wrong(f"there is no rule {name!r}{suggestion(name, self.names)}", place)

    def _entry(self, form: Form, path: Path, number: int) -> Path:
        """The place of one name, also where a single one stands without brackets."""
        return (*path, number) if (*path, number) in form.document.values else path

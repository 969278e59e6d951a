"""Loads tests from `*_test.yaml`. Each mistake names its place and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmvitals.errors import RuleError, suggestion
from llmvitals.rules.files import raise_all, rule_files
from llmvitals.rules.model_reader import ModelReader
from llmvitals.rules.yaml_reader import Path, read_file
from llmvitals.ruletest.calls import read_calls
from llmvitals.ruletest.models import AlertModel, CaseModel, ExpectModel, FileModel, MessageModel
from llmvitals.ruletest.rule_test import (
    NUMBERS,
    Expectation,
    ExpectedAlert,
    ExpectedMessage,
    RuleTest,
    RuleTestFile,
)

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Iterator

_FIELDS = ("severity", "level", "facet", "verdict", *NUMBERS, "summary", "note", "cause")


def load_tests(folder: pathlib.Path, names: Collection[str], pane: int) -> list[RuleTestFile]:
    """Load the tests in `*_test.yaml` and `*_test.yml` of a folder.

    names: all rules. pane: µs, the default of a file. Raises one RuleError that lists all mistakes; its
    place is that of the first.
    """
    loader = _Loader(folder, names, pane)
    files = [file for path in rule_files(folder, tests=True) for file in loader.file(path)]
    raise_all(loader.errors)
    return files


class _Loader:
    def __init__(self, folder: pathlib.Path, names: Collection[str], pane: int) -> None:
        self.names, self.pane = names, pane
        self.files = [path.name for path in rule_files(folder)]
        self.errors: list[RuleError] = []

    def file(self, path: pathlib.Path) -> Iterator[RuleTestFile]:
        try:
            document = read_file(path)
        except RuleError as error:
            self.errors.append(error)
            return
        reader = ModelReader(document, self.pane)
        whole = reader.read(FileModel, document.data if document.data is not None else {}, ())
        if whole:
            for number, name in enumerate(whole.rules):
                if name not in self.files:
                    reader.report(
                        f"there is no rule file {name!r} here{suggestion(name, self.files)}",
                        self._entry(reader, ("rules",), number),
                    )
            tests = [
                test
                for number, data in enumerate(whole.tests)
                if (test := self._case(reader, data, ("tests", number), whole.start))
            ]
            self._unique(reader, tests)
            yield RuleTestFile(path, tuple(whole.rules), whole.pane or self.pane, tuple(tests))
        self.errors.extend(reader.errors)

    def _unique(self, reader: ModelReader, tests: list[RuleTest]) -> None:
        seen: dict[str, int] = {}
        for number, test in enumerate(tests):
            if test.name in seen:
                reader.report(
                    f"{test.name!r} is a test in line {seen[test.name]}: choose another name",
                    ("tests", number, "name"),
                )
            seen.setdefault(test.name, test.line)

    def _case(self, reader: ModelReader, data: Any, path: Path, start: int) -> RuleTest | None:
        shape = reader.read(CaseModel, data, path)
        if shape is None:
            return None
        self._known(reader, shape.only, (*path, "only"))
        lines = [
            read_calls(reader, line, (*path, "calls", number)) for number, line in enumerate(shape.calls)
        ]
        wanted = [self._expect(reader, entry, (*path, "expect", n)) for n, entry in enumerate(shape.expect)]
        return RuleTest(
            shape.name,
            reader.document.values[path][0],
            start if shape.start is None else shape.start,
            tuple(shape.only),
            tuple(line for line in lines if line),
            tuple(entry for entry in wanted if entry),
        )

    def _expect(self, reader: ModelReader, data: Any, path: Path) -> Expectation | None:
        shape = reader.read(ExpectModel, data, path)
        if shape is None:
            return None
        self._known(reader, shape.never, (*path, "never"))
        line = reader.document.values[path][0]
        if shape.at is None:
            return Expectation(line, never=tuple(shape.never))
        alerts = [
            self._wanted(reader, entry, (*path, "alerts", n)) for n, entry in enumerate(shape.alerts or ())
        ]
        messages = [
            reader.read(MessageModel, entry, (*path, "messages", n))
            for n, entry in enumerate(shape.messages or ())
        ]
        return Expectation(
            line,
            shape.at,
            None if shape.alerts is None else tuple(filter(None, alerts)),
            None
            if shape.messages is None
            else tuple(ExpectedMessage(m.to, tuple(m.says), m.reply) for m in messages if m),
        )

    def _wanted(self, reader: ModelReader, data: Any, path: Path) -> ExpectedAlert | None:
        shape = reader.read(AlertModel, data, path)
        if shape is None:
            return None
        self._known(reader, [shape.alert], (*path, "alert"))
        fields = {name: text for name in _FIELDS if (text := getattr(shape, name)) is not None}
        line = reader.document.values[path][0]
        return ExpectedAlert(shape.alert, shape.status, fields, shape.labels, shape.annotations, line)

    def _known(self, reader: ModelReader, names: list[str], path: Path) -> None:
        for number, name in enumerate(names):
            if name not in self.names:
                place = self._entry(reader, path, number)
                reader.report(f"there is no rule {name!r}{suggestion(name, self.names)}", place)

    def _entry(self, reader: ModelReader, path: Path, number: int) -> Path:
        """The path of a name, which may stand alone without brackets."""
        return (*path, number) if (*path, number) in reader.document.values else path

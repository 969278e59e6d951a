"""Loads tests from `*_test.yaml`. Each mistake names its place and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from llmvitals.errors import RuleError, suggestion
from llmvitals.record.call import CallEvent
from llmvitals.rules.files import raise_all, rule_files
from llmvitals.rules.model_reader import ModelReader
from llmvitals.rules.yaml_reader import Path, read_file
from llmvitals.ruletest.models import AlertModel, CallsModel, CaseModel, ExpectModel, FileModel, MessageModel
from llmvitals.ruletest.rule_test import (
    NUMBERS,
    CallStream,
    Expectation,
    ExpectedAlert,
    ExpectedMessage,
    RuleTest,
    RuleTestFile,
)
from llmvitals.window import duration

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Iterator

DEFAULTS: Final = {"provider": "openai", "model": "gpt-5-mini"}
"""The defaults of a call's fields."""
SHORT: Final = {"cost": "cost_usd", "latency": "latency_ms", "ttft": "ttft_ms"}
"""Short names of fields in tests: dollars, and times as durations."""
MOST: Final = 500_000
"""The most calls of an entry."""
MADE: Final = ("ts", "schema_version", "input_text", "output_text")
"""Fields that a test cannot set."""
_LISTS: Final = frozenset(("guardrails", "tools"))
"""Fields whose value is a list; a list of lists is cycled through."""

_FIELDS = ("severity", "level", "facet", "verdict", *NUMBERS, "summary", "note", "cause")


def read_calls(reader: ModelReader, data: Any, path: Path) -> CallStream | None:
    """The calls of an entry, or None after the reader has reported mistakes."""
    if not reader.is_mapping(data, path):
        return None
    own = CallsModel.model_fields
    shape = reader.read(CallsModel, {key: data[key] for key in data if key in own}, path)
    fields = {name: [value] for name, value in DEFAULTS.items()}
    valid = True
    for key, value in data.items():
        if key not in own:
            values = _field(reader, key, value, (*path, key))
            valid = valid and bool(values)
            fields[SHORT.get(key, key)] = values
    if shape is None or not valid:
        return None
    begin, end = shape.at
    made = CallStream(begin, begin + 1 if end is None else end, shape.every or 1, fields, shape.late)
    if made.count > MOST:
        reader.report(f"{made.count:,} calls are too many: at most {MOST:,}; write a longer every", path)
        return None
    return made


def _field(reader: ModelReader, key: str, value: Any, path: Path) -> list[Any]:
    """The values that a field cycles through; [] after a mistake was reported."""
    name = SHORT.get(key, key)
    if name in MADE or name not in CallEvent.model_fields:
        names = [*SHORT, *(field for field in CallEvent.model_fields if field not in MADE)]
        cure = "leave it out" if name in MADE else suggestion(key, names)[2:]
        reader.report(f"{key!r} is not a field of a call in a test: {cure}", path, key=True)
        return []
    cycles = isinstance(value, list) and (name not in _LISTS or all(isinstance(one, list) for one in value))
    values = value if cycles else [value]
    if not values:
        reader.report("an empty list: write the values that the calls cycle through", path)
    found = []
    for number, one in enumerate(values):
        place = (*path, number) if cycles else path
        try:
            found.append(_checked(key, one))
        except ValueError as error:
            reader.report(f"{key}: {one!r} does not fit: {_reason(error)}", place)
    return found if len(found) == len(values) else []


def _checked(key: str, value: Any) -> Any:
    name = SHORT.get(key, key)
    if key in ("latency", "ttft"):
        value = duration(value) / 1_000
    CallEvent.model_validate(DEFAULTS | {"id": "a", "ts": 0, name: value})
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return message[:1].lower() + message[1:]
    return str(error)


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

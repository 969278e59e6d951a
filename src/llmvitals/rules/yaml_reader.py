"""Reads a YAML file into plain data, as `yaml.safe_load` does, and keeps the line and column of everything.

Limits bound the size, the depth and the number of values, so that a hostile file fails early.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml

from llmvitals.errors import RuleError

if TYPE_CHECKING:
    import pathlib

MOST_NODES: Final = 20_000
"""The most values in a file. Values that an alias repeats count each time, which stops YAML bombs."""
DEEPEST: Final = 20
LONGEST: Final = 600
Place = tuple[int, int]
"""Line and column, from 1."""


def position(text: bytes, error: yaml.reader.ReaderError) -> Place:
    """The place of an invalid character; YAML gives its offset in bytes or in characters."""
    before = text.decode("utf-8", "replace")[: error.position] if error.encoding == "unicode" else ""
    before = before or text[: error.position].decode("utf-8", "replace")
    return before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


def cure(error: yaml.YAMLError) -> str:
    """The parser's problem, and a cure for the most common ones."""
    if isinstance(error, yaml.reader.ReaderError):
        return "an invalid character: save the file as UTF-8, without control characters"
    problem = str(getattr(error, "problem", None) or "it can't be read")
    for part, cure in _HINTS.items():
        if part in problem:
            return f"{problem}: {cure}"
    return problem


_HINTS: Final = {
    "\\t": "indent with spaces, not with tabs",
    "mapping values are not allowed": "put a text that has a colon in quotes, and check the indentation",
    "could not find expected ':'": "write key: value, with a space after the colon",
    "expected <block end>": "check the indentation: the keys of a mapping have to be aligned",
    "undefined alias": "write the value out",
    "cannot start any token": "put the text in quotes",
    "expected ',' or": "close the bracket, and write a comma between values",
    "found unexpected end of stream": "close the quotes",
    "found another document": "keep one document in a file: leave --- out",
}
"""Part of the parser's message → what to do."""


class Loader(yaml.SafeLoader):
    """A safe loader that refuses large or deep files early; they would take seconds to parse.

    count: values so far; an alias counts as all values that it repeats.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.count = self.depth = 0
        self._sizes: dict[int, int] = {}
        """Id of a node → the number of its values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # the package has no types here
        before = self.count
        self.depth += 1
        self._bound(event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            self.count += 1
            self._sizes[id(node)] = self.count - before
        elif (size := self._sizes.get(id(node))) is None:
            self._refuse("an alias repeats the value that contains it: write it out", event.start_mark)
        else:
            self.count += size
            self._bound(event.start_mark)
        return node

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        # The scanner looks a thousand characters ahead, which takes time quadratic in the depth.
        if self.flow_level > 2 * DEEPEST:
            self._refuse(_DEEP, self.get_mark())
        super().fetch_flow_collection_start(token)

    def _bound(self, mark: Any) -> None:
        if self.count > 2 * MOST_NODES:
            why = "too many values, including those that aliases repeat: write less, or split the file"
            self._refuse(why, mark)
        if self.depth > 2 * DEEPEST:
            self._refuse(_DEEP, mark)

    def _refuse(self, why: str, mark: Any) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=why, problem_mark=mark)


_DEEP: Final = "nested too deeply: write it out"


def short(message: str) -> str:
    """Cut the middle out of a long message; the cure is at its end."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"


LARGEST: Final = 1 << 20
"""The most bytes of a rule file."""

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """The data of one file, and the place of each key and value."""

    file: str
    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def line(self, path: Path) -> str:
        """`file:line` of a value."""
        return f"{self.file}:{self.values[path][0]}"

    def error(self, message: str, path: Path, *, key: bool = False) -> RuleError:
        """An error at the value (or the key) of a path, or at the nearest known parent."""
        while path and path not in self.values:
            path, key = path[:-1], False
        line, column = (self.keys if key and path in self.keys else self.values).get(path, (1, 1))
        return RuleError(short(message), file=self.file, line=line, column=column)


def read_file(path: pathlib.Path) -> Document:
    """Read the document of a file. Raises RuleError if it can't be read, and as `read` does."""
    try:
        if not path.is_file():
            raise RuleError("is not a file: move it elsewhere", file=str(path), line=1, column=1)
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise RuleError(f"can't be read: {error.strerror}", file=str(path), line=1, column=1) from error
    return read(text, str(path))


def read(text: bytes, file: str) -> Document:
    """Parse a document. Raises RuleError if it is invalid, too large, too deep or repeated too often."""
    if len(text) > LARGEST:
        raise RuleError("larger than 1 MiB: split it into several files", file=file, line=1, column=1)
    try:
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            document = Document(file)
            if node is not None:
                document.data = _Reader(loader, document).value(node, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(error, yaml.reader.ReaderError):
            line, column = position(text, error)
        raise RuleError(f"invalid YAML: {cure(error)}", file=file, line=line, column=column) from error
    return document


_PLAIN: Final = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _PLAIN)
"""The tags of plain YAML."""


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self.loader, self.document, self.count = loader, document, 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        place = _place(node)
        self.document.values[path] = place
        self.count += 1
        if self.count > MOST_NODES or len(path) > DEEPEST:
            reason = "nested too deeply" if len(path) > DEEPEST else "repeated too often by aliases"
            raise self._error(f"{reason}: write it out", node)
        if node.tag not in _TAGS:
            raise self._error("YAML tags are not supported: leave it out", node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, place)) for place, child in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except ValueError as error:
            raise self._error(f"{node.value!r} can't be read: put it in quotes", node) from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a key has to be a plain word", key_node)
            key = str(key_node.value)
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise self._error("merge keys (<<) are not supported: write the keys out", key_node)
            if key in mapping:
                raise self._error(f"duplicate key {key}: leave one out", key_node)
            self.document.keys[(*path, key)] = _place(key_node)
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _error(self, message: str, node: yaml.Node) -> RuleError:
        line, column = _place(node)
        return RuleError(short(message), file=self.document.file, line=line, column=column)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1

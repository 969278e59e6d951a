"""YAML with the place of everything in it: plain data, as `yaml.safe_load` reads it, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from llmvitals.errors import RuleError
from llmvitals.rules.yaml_parser import DEEPEST, MOST_NODES, Loader, Place, cure, position, short

if TYPE_CHECKING:
    import pathlib

LARGEST: Final = 1 << 20
"""Bytes of a rule file, at most."""

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """The data of one file, and where its keys and values stand."""

    file: str
    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """`file:line:column` of a value, or of the nearest place above it."""
        while path not in self.values and path:
            path = path[:-1]
        line, column = self.values.get(path, (1, 1))
        return f"{self.file}:{line}:{column}"

    def error(self, message: str, path: Path, *, key: bool = False) -> RuleError:
        """An error at the value of a path (or its key), or at the nearest place above it."""
        while path and path not in self.values:
            path, key = path[:-1], False
        line, column = (self.keys if key and path in self.keys else self.values).get(path, (1, 1))
        return RuleError(short(message), file=self.file, line=line, column=column)


def opened(path: pathlib.Path) -> Document:
    """The document in a file. Raises RuleError where it can't be read, and as `read` does."""
    try:
        if not path.is_file():
            raise RuleError("is no file: move it elsewhere", file=str(path), line=1, column=1)
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise RuleError(f"can't be read: {error.strerror}", file=str(path), line=1, column=1) from error
    return read(text, str(path))


def read(text: bytes, file: str) -> Document:
    """A file's document. Raises RuleError for what is no YAML, too large, too deep or too often repeated."""
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
        raise RuleError(f"no YAML: {cure(error)}", file=file, line=line, column=column) from error
    return document


_PLAIN: Final = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _PLAIN)
"""What plain YAML stands for."""


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
            raise self._error("tags are not read: leave it out", node)
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
                raise self._error("merge keys (<<) are not read: write the keys out", key_node)
            if key in mapping:
                raise self._error(f"{key} stands here twice: leave one out", key_node)
            self.document.keys[(*path, key)] = _place(key_node)
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _error(self, message: str, node: yaml.Node) -> RuleError:
        line, column = _place(node)
        return RuleError(short(message), file=self.document.file, line=line, column=column)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1

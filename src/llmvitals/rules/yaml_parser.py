"""YAML's own loader, which gives up in time, and its complaints in words that help."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import yaml

MOST_NODES: Final = 20_000
"""Values in a file, counting again what an alias repeats: so a bomb stays one value."""
DEEPEST: Final = 20
LONGEST: Final = 600
Place = tuple[int, int]
"""Line and column, from 1."""


def position(text: bytes, error: yaml.reader.ReaderError) -> Place:
    """The place of a character that can't be read; YAML gives its number, in bytes or in characters."""
    before = text.decode("utf-8", "replace")[: error.position] if error.encoding == "unicode" else ""
    before = before or text[: error.position].decode("utf-8", "replace")
    return before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


def cure(error: yaml.YAMLError) -> str:
    """What is wrong, and what to do about what is met most."""
    if isinstance(error, yaml.reader.ReaderError):
        return "a character that has no place in it: save the file as UTF-8, without control characters"
    problem = str(getattr(error, "problem", None) or "it can't be read")
    for found, cure in _HINTS.items():
        if found in problem:
            return f"{problem}: {cure}"
    return problem


_HINTS: Final = {
    "\\t": "indent with blanks, not with tabs",
    "mapping values are not allowed": "put a text that has a colon in quotes, and check the indentation",
    "could not find expected ':'": "write key: value, with a blank after the colon",
    "expected <block end>": "check the indentation: the keys of a mapping stand below each other",
    "undefined alias": "write the value out",
    "cannot start any token": "put the text in quotes",
    "expected ',' or": "close the bracket, and write a comma between values",
    "found unexpected end of stream": "close the quotes",
    "found another document": "keep one document in a file: leave --- out",
}
"""Part of what the parser says → what to do."""


class Loader(yaml.SafeLoader):
    """Gives up early, before anything is made of it: a million values, or brackets in brackets, take seconds.

    count: values read, an alias counting as all that it repeats.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.count = self.depth = 0
        self._sizes: dict[int, int] = {}
        """By the id of a node: the values in it."""

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
            self._refuse("an alias stands inside of what it repeats: write it out", event.start_mark)
        else:
            self.count += size
            self._bound(event.start_mark)
        return node

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        # The scanner looks a thousand characters ahead, in time that grows with the square of the depth.
        if self.flow_level > 2 * DEEPEST:
            self._refuse(_DEEP, self.get_mark())
        super().fetch_flow_collection_start(token)

    def _bound(self, mark: Any) -> None:
        if self.count > 2 * MOST_NODES:
            why = "too many values, those counted that aliases repeat: write less, or split the file"
            self._refuse(why, mark)
        if self.depth > 2 * DEEPEST:
            self._refuse(_DEEP, mark)

    def _refuse(self, why: str, mark: Any) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=why, problem_mark=mark)


_DEEP: Final = "nested too deeply: write it out"


def short(message: str) -> str:
    """The message without its middle, when what it quotes is long; the cure stands at the end."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"

"""Validates parts of a document with pydantic models, and collects mistakes with their place and a cure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from llmvitals.errors import Mistakes, spot, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.errors import RuleError
    from llmvitals.rules.yaml_reader import Document, Path

    Foreign = Mapping[str, str]

Model = TypeVar("Model", bound=BaseModel)

_CURES: Final = {
    "string": "write a text",
    "int": "write a whole number",
    "float": "write a number",
    "list": "write a list: lines that begin with -",
    "greater_than_equal": "write {ge} or more",
    "greater": "write more than {gt}",
    "less": "write {le} or less",
    "too_short": "write at least one",
    "too_long": "write at most {max_length}",
}
"""Prefix of pydantic's error type → what to do; the names are those of the error's context."""


class ModelReader:
    """Reads models from one document; errors, warnings: all so far."""

    def __init__(self, document: Document, pane: int) -> None:
        self.document, self.pane = document, pane
        self.errors: list[RuleError] = []
        self.warnings: list[RuleError] = []

    def report(self, message: str, path: Path, *, key: bool = False) -> None:
        """Add a mistake at the value of a path, or at its key."""
        self.errors.append(self.document.error(message, path, key=key))

    def warn(self, message: str, path: Path, *, key: bool = False) -> None:
        """Add a warning at the value of a path, or at its key: what is allowed, but most likely not meant."""
        self.warnings.append(self.document.error(f"warning: {message}", path, key=key))

    def is_mapping(self, data: Any, path: Path) -> bool:
        """Whether the data is a mapping; adds a mistake if it is not."""
        if isinstance(data, dict):
            return True
        self.report("write key: value lines here", path)
        return False

    def read(
        self,
        model: type[Model],
        data: Any,
        path: Path,
        *,
        beside: tuple[str, ...] = (),
        foreign: Foreign = MappingProxyType({}),
    ) -> Model | None:
        """The model, or None after a mistake was added.

        beside: other keys that are valid here. foreign: keys of other tools → what to write instead.
        """
        if not self.is_mapping(data, path):
            return None
        try:
            return model.model_validate(data, context={"pane": self.pane})
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
            unknown = any(mistake["type"] == "extra_forbidden" for mistake in mistakes)
            for mistake in mistakes:
                # Beside an unknown key, a missing key is most likely the misspelt one.
                if not (unknown and mistake["type"] == "missing"):
                    if mistake["type"] == "extra_forbidden":
                        self._unknown(model, path, mistake["loc"], beside=beside, foreign=foreign)
                    else:
                        self._translate(mistake, path)
            return None

    def _unknown(
        self, model: type[BaseModel], path: Path, loc: Any, *, beside: tuple[str, ...], foreign: Foreign
    ) -> None:
        """Add the mistake of an unknown key; loc: its place within the model."""
        inner, key, place = _within(model, loc[:-1]), str(loc[-1]), (*path, *loc)
        names = [field.alias or name for name, field in inner.model_fields.items()]
        if inner is model:
            names += beside
        cure = foreign[key] if inner is model and key in foreign else suggestion(key, names)[2:]
        if key.isdecimal():
            cure = "write numbers without commas, such as 1000"
        self.report(f"unknown key {key!r}: {cure}", place, key=True)

    def _translate(self, error: Any, path: Path) -> None:
        place, kind = (*path, *error["loc"]), error["type"]
        if kind == "missing":
            self.report(f"{place[-1]} is missing: add it", place[:-1], key=True)
        elif kind == "value_error" and isinstance(error["ctx"]["error"], Mistakes):
            mistakes = error["ctx"]["error"]
            for key, message in mistakes.found.items():
                self.report(message, (*place, *spot(key)), key=mistakes.key)
        elif kind == "value_error":
            self.report(str(error["ctx"]["error"]), place, key=not error["loc"])
        else:
            cure = next(
                (cure for start, cure in _CURES.items() if kind.startswith(start)), "write another value"
            )
            cure = cure.format_map(error.get("ctx", {}))
            self.report(f"{error['input']!r} does not fit: {cure}", place)


def _within(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    """The model at a place within a model."""
    for step in loc:
        hints = [model.model_fields[step].annotation] if step in model.model_fields else []
        while hints:
            hint = hints.pop()
            if isinstance(hint, type) and issubclass(hint, BaseModel):
                model = hint
            hints += get_args(hint)
    return model

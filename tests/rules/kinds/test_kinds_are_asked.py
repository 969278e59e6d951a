"""Nobody outside of a kind's folder tells kinds apart: they are asked."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jsonschema
import pytest

from llmvitals.rules.condition.fields import model_schema
from llmvitals.rules.kinds import KINDS

SOURCE = Path(__file__).parents[3] / "src" / "llmvitals"
HOME = SOURCE / "rules" / "kinds"
CLASSES = {kind.__name__: name for name, kind in KINDS.items()}
PATHS = sorted(SOURCE.rglob("*.py"))
ASKED = {"isinstance", "issubclass", "cast"}


def folder(path: Path) -> str:
    """The kind whose folder a file is in; "" for none."""
    return path.relative_to(HOME).parts[0] if path.is_relative_to(HOME) else ""


def imported(tree: ast.Module) -> set[str]:
    """The names of kinds' classes that a file imports."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    spec = re.compile(r"llmvitals\.rules\.kinds\.\w+\.spec")
    return {
        alias.asname or alias.name
        for node in found
        if node.module and spec.fullmatch(node.module)
        for alias in node.names
        if alias.name in CLASSES
    }


def told_apart(tree: ast.Module) -> list[int]:
    """Lines with isinstance, issubclass, cast or a match over a kind, or a comparison of `.kind` with a key."""
    lines = []
    for node in ast.walk(tree):
        names: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKED:
            names = node.args
        elif isinstance(node, ast.MatchClass):
            names = [node.cls]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            kind = any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides)
            keys = [leaf.value for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Constant)]
            if kind and set(keys) & set(KINDS):
                lines.append(getattr(node, "lineno", 0))
        for name in (leaf for one in names for leaf in ast.walk(one)):
            text = (
                name.id
                if isinstance(name, ast.Name)
                else name.value
                if isinstance(name, ast.Constant)
                else ""
            )
            if text in CLASSES:
                lines.append(getattr(node, "lineno", 0))
    return lines


def test_no_file_tells_kinds_apart():
    found = {
        str(path.relative_to(SOURCE)): lines
        for path in PATHS
        if not folder(path) and (lines := told_apart(ast.parse(path.read_text())))
    }
    assert found == {}


def test_only_the_registry_imports_the_kinds():
    found = {
        str(path.relative_to(SOURCE)): names
        for path in PATHS
        if path != HOME / "__init__.py"
        and (names := imported(ast.parse(path.read_text())))
        and {CLASSES[name] for name in names} != {folder(path)}
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "isinstance(condition, Budget)", "isinstance(condition, Outage | Threshold)",
        "match condition:\n    case Budget(): ...", 'cast("Drift", condition)', 'alert.kind == "budget"',
        'alert.kind in ("budget", "canary")', 'alert.kind != "regression"',
    ],
)  # fmt: skip
def test_the_search_finds_what_it_is_for(text):
    assert told_apart(ast.parse(text))


def test_kinds_are_of_no_other_kind():
    pattern = re.compile(r"llmvitals\.rules\.kinds\.(\w+)")
    found = {
        str(path.relative_to(SOURCE)): others
        for path in HOME.rglob("*.py")
        if path.parent != HOME and (others := set(pattern.findall(path.read_text())) - {folder(path)})
    }
    assert found == {}


def test_conditions_know_no_kind():
    paths = [path for path in PATHS if path.is_relative_to(SOURCE / "rules" / "condition")]
    assert [path.name for path in paths if "rules.kinds" in path.read_text()] == []


def test_the_keys_are_those_of_the_kinds():
    assert {name: kind.kind for name, kind in KINDS.items()} == {name: name for name in KINDS}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_defaults_are_written_as_people_write_them(kind):
    definitions: dict[str, object] = {}
    schema = model_schema(kind, definitions)
    for name, field in schema["properties"].items():
        if "default" in field:
            jsonschema.validate(field["default"], {**field, "$defs": definitions}), name

"""The house rules, held by a test: sizes, names, docstrings, layers. Each test names the offenders."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TREES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "src").rglob("*.py"))}
TEXTS = {path: path.read_text() for path in TREES}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(path: Path, node: ast.AST | None = None) -> str:
    """Where it is, as an editor takes it."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def functions() -> Iterator[tuple[Path, Function]]:
    """Every function of the source, methods and inner ones included."""
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, Function))


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Every class of the source."""
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def size(path: Path) -> int:
    """Lines of a file."""
    return len(TEXTS[path].splitlines())


def length(function: Function) -> int:
    """Lines of a function; its docstring is not counted."""
    end = function.end_lineno or function.lineno
    if ast.get_docstring(function) is None:
        return end - function.lineno + 1
    return end - (function.body[0].end_lineno or end)


def positional(function: Function) -> int:
    """How many arguments may be given by position, self aside."""
    names = [a.arg for a in function.args.posonlyargs + function.args.args]
    return len([name for name in names if name not in {"self", "cls"}])


def test_no_file_is_over_300_lines():
    assert {place(path): size(path) for path in TREES if size(path) > 300} == {}


def test_the_median_file_has_at_most_130_lines():
    assert statistics.median(size(path) for path in TREES if path.name != "__init__.py") <= 130


def test_no_function_is_over_40_lines():
    assert {place(path, f): length(f) for path, f in functions() if length(f) > 40} == {}


def test_no_function_takes_more_than_4_arguments_by_position():
    # Commands are called by typer and settings' sources by pydantic, both by name.
    ours = [(path, f) for path, f in functions() if path.parent.name != "cli" and path.name != "settings.py"]
    assert {place(path, f): f.name for path, f in ours if positional(f) > 4} == {}


def test_what_is_printed_is_never_read_as_markup():
    """A name, a path or an error may hold brackets: only console.py makes consoles, and nothing is escaped."""
    pattern = re.compile(r"\bConsole\(|rich\.markup|TextColumn\((?!.*markup=False)|from_markup")
    found = {place(path): pattern.findall(text) for path, text in TEXTS.items() if path.name != "console.py"}
    assert {name: words for name, words in found.items() if words} == {}


def test_own_classes_inherit_one_level_deep():
    # Not counted: the tree of exceptions, which errors.py draws, and Stage and Sink, which hold no code of their own.
    own = [node for path, node in classes() if path.name != "errors.py"]
    parents = {node.name: {b.id for b in node.bases if isinstance(b, ast.Name)} for node in own}
    deep = {
        name: (parent, parents[parent] & set(parents))
        for name, bases in parents.items()
        for parent in bases & set(parents) - {name}
        if parents[parent] & set(parents) - {parent, "Stage", "Sink"}
    }
    assert deep == {}


def test_what_is_public_has_a_docstring():
    without = [
        place(path, node)
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert without == []


def test_nothing_is_left_to_do():
    assert [
        place(path) for path, text in TEXTS.items() if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    ] == []


def test_files_are_called_by_what_they_are_about():
    vague = {"utils", "util", "common", "helpers", "helper", "base", "core", "types", "misc"}
    assert [place(path) for path in TREES if vague & set(path.with_suffix("").parts)] == []


def test_no_test_module_imports_another():
    """What tests share is in tests/support."""
    pattern = re.compile(r"^\s*(?:from|import) +(?:tests\.|test_)\w*", re.MULTILINE)
    files = (ROOT / "tests").rglob("*.py")
    imports = {place(path): pattern.findall(path.read_text()) for path in files}
    assert {name: lines for name, lines in imports.items() if lines} == {}


def test_nothing_is_pickled():
    pickles = re.compile(r"^\s*(?:import|from) (?:pickle|marshal|shelve|dill)\b", re.MULTILINE)
    assert [place(path) for path, text in TEXTS.items() if pickles.search(text)] == []


def test_layers_and_fences_hold():
    run(Path(sys.executable).with_name("lint-imports"), "--no-cache")


def test_the_compose_file_is_one():
    run(
        Path(sys.executable).with_name("check-jsonschema"),
        "--builtin-schema", "vendor.compose-spec", "docker-compose.yml",
    )  # fmt: skip


def run(*command: str | Path) -> None:
    """A tool that has to end well."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

"""The public names are those that the README documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

import llmvitals
import llmvitals.testing
from llmvitals.cli import app

README_PAGE = Path(__file__).parents[2] / "README.md"
README = README_PAGE.read_text(encoding="utf-8")


def test_the_public_names_are_the_documented_ones() -> None:
    section = README.partition("## Python API\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(llmvitals\.\S+)` \|", section, re.MULTILINE))
    names = {f"llmvitals.{name}" for name in llmvitals.__all__}
    names |= {f"llmvitals.testing.{name}" for name in llmvitals.testing.__all__}
    assert documented == names | integrations()
    assert all(hasattr(llmvitals, name) for name in llmvitals.__all__)
    assert all(hasattr(llmvitals.testing, name) for name in llmvitals.testing.__all__)


def integrations() -> set[str]:
    """The names of `__all__` in the files of the integrations, some of which need a library to be imported."""
    names = set()
    for path in Path(llmvitals.__path__[0], "integrations").glob("*.py"):
        module = "llmvitals.integrations" + ("" if path.stem == "__init__" else f".{path.stem}")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                    names |= {f"{module}.{name}" for name in ast.literal_eval(value)}
    return names


def test_the_recipes_use_public_names() -> None:
    page = README_PAGE.with_name("docs") / "integrations.md"
    recipes = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    used = set()
    for recipe in recipes:
        tree = ast.parse(recipe)
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("llmvitals"):
                modules |= {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        used |= {
            f"{modules[node.value.id]}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        }
        used |= {
            name
            for name in modules.values()
            if name.rpartition(".")[2] not in ("openai", "anthropic", "llamaindex")
        }
    assert used == integrations() | {"llmvitals.Publisher"}


def test_the_version_is_that_of_the_package() -> None:
    assert llmvitals.__version__ == version("llmvitals")
    printed = CliRunner().invoke(app, ["--version"])
    assert (printed.exit_code, printed.output) == (0, f"llmvitals {llmvitals.__version__}\n")


def test_to_import_llmvitals_loads_nothing_else() -> None:
    code = (
        "import sys, llmvitals; print([n for n in sys.modules if n.startswith(('llmvitals.', 'pydantic'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

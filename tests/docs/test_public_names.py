"""The public names are those that the README documents."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

import llmvitals
import llmvitals.testing
from llmvitals.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_public_names_are_the_documented_ones() -> None:
    section = README.partition("## Python API\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(llmvitals\.\S+)` \|", section, re.MULTILINE))
    names = {f"llmvitals.{name}" for name in llmvitals.__all__}
    names |= {f"llmvitals.testing.{name}" for name in llmvitals.testing.__all__}
    assert documented == names
    assert all(hasattr(llmvitals, name) for name in llmvitals.__all__)
    assert all(hasattr(llmvitals.testing, name) for name in llmvitals.testing.__all__)


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

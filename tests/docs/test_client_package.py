"""llmvitals-client: what an application needs of llmvitals, beside everything that LiteLLM's proxy needs."""

from __future__ import annotations

import ast
import json
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from installing import ROOT, hatchling, overlay, run
from llmvitals.errors import Unavailable
from real_parts import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(290)

LITELLM = ROOT / ".venv" / "litellm" / "bin" / "python"
SOURCE = ROOT / "src" / "llmvitals"
PROJECT = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())
LISTED = PROJECT["tool"]["hatch"]["build"]["hooks"]["custom"]["modules"]
PYDANTIC = {"annotated_types", "pydantic_core"}
"""What pydantic always brings."""


def shipped() -> Iterator[Path]:
    """The files of the sources that are in the wheel."""
    for name in LISTED:
        path = SOURCE / name
        assert path.exists(), f"{name} is listed, but not there"
        yield from [path] if path.is_file() else path.rglob("*.py")


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports when it runs, inside of functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imported(node)


def test_its_modules_import_nothing_but_each_other_and_its_dependencies() -> None:
    files = {path for path in shipped() if path.suffix == ".py"}
    names = {".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in files}
    declared = {line.partition(">")[0].replace("-", "_") for line in PROJECT["project"]["dependencies"]}
    absent = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCE.rglob("*.py")
        if path not in files
    }
    assert "llmvitals.cli" in absent
    assert "llmvitals.publisher.__init__" in names
    found = {path: set(imported(ast.parse(path.read_text()))) for path in files}
    ours = {
        str(path.relative_to(SOURCE)): wanted & absent for path, wanted in found.items() if wanted & absent
    }
    assert ours == {"entry.py": {"llmvitals.cli"}}, (
        "entry.py says so; others need a line in client/pyproject.toml"
    )
    # An integration may import what it integrates, which is there where it is used.
    own = [wanted for path, wanted in found.items() if "integrations" not in path.parts]
    others = {name.partition(".")[0] for wanted in own for name in wanted} - set(sys.stdlib_module_names)
    assert others - {"llmvitals"} - PYDANTIC == declared


def test_what_both_need_has_one_range() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    # llmvitals pins aiokafka for its private attributes, which a publisher does not use.
    assert [line for line in PROJECT["project"]["dependencies"] if line not in whole] == ["aiokafka>=0.14,<1"]


def test_the_license_is_a_copy() -> None:
    assert (ROOT / "client" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


class Built(NamedTuple):
    """home: the folder of everything; installed: with the wheel's files."""

    home: Path
    installed: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = tmp_path_factory.mktemp("client")
    return Built(home, overlay(home))


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with LiteLLM and what the client needs, without llmvitals."""
    if not LITELLM.exists():
        unavailable(Unavailable("LiteLLM is not installed: `make test` does that, from tests/litellm.txt"))
    return LITELLM


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_listed_modules_and_the_sdist_makes_the_same_wheel(built: Built) -> None:
    (wheel,), (sdist,) = (built.home / "dist").glob("*.whl"), (built.home / "dist").glob("*.tar.gz")
    modules = {f"llmvitals/{path.relative_to(SOURCE)}" for path in shipped()} | {"llmvitals/testing.py"}
    found = contents(wheel)
    assert {name for name in found if ".dist-info/" not in name} == modules
    with tarfile.open(sdist) as archive:
        archive.extractall(built.home / "sdist", filter="data")
    (project,) = (built.home / "sdist").iterdir()
    assert contents(hatchling(built.home, project, built.home / "again")) == found


def test_its_version_is_that_of_llmvitals(built: Built, python: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (info,) = built.installed.glob("*.dist-info")
    assert PathDistribution(info).version == version
    shown = run(
        python,
        "-c",
        "import llmvitals; print(llmvitals.__version__)",
        cwd=built.home,
        PYTHONPATH=str(built.installed),
    )
    assert shown.stdout == f"{version}\n", shown.stderr


def test_an_application_publishes_and_validates_with_it(built: Built, python: Path) -> None:
    code = (
        "import llmvitals, sys\n"
        "p = llmvitals.Publisher(brokers='127.0.0.1:9', validate=True)\n"
        "print(p.publish({'id': 'a', 'ts': 1735732800000, 'model': 'm'}), p.publish({'id': 'a'}), p.failed)\n"
        "p.close(0.1)\n"
    )
    done = run(python, "-W", "error", "-c", code, cwd=built.home, PYTHONPATH=str(built.installed))
    assert (done.stdout, done.returncode) == ("True False 1\n", 0), done.stderr
    assert "Object missing required field `ts`" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-m", "llmvitals", "worker"], "llmvitals-client has no commands, it only sends calls: pip install llmvitals"),
        (["-c", "import llmvitals.testing"], "llmvitals-client has no llmvitals.testing, it only sends calls: pip install"),
    ],
)  # fmt: skip
def test_what_is_not_in_it_says_where_it_is(built: Built, python: Path, words: list[str], told: str) -> None:
    done = run(python, *words, cwd=built.home, PYTHONPATH=str(built.installed))
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]


AGREE = """
import json, sys
from importlib.metadata import distribution, requires
from packaging.requirements import Requirement

def needed(name, extra, seen):
    for line in requires(name) or ():
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            yield one
            if extra == "" and one.name not in seen:
                seen.add(one.name)
                yield from needed(one.name, "", seen)

limits = {}
for one in needed("litellm", "proxy", set()):
    limits.setdefault(one.name, []).append(one.specifier)
client = {one.name for one in needed("llmvitals-client", "", set())}
print(json.dumps({
    name: [str(limit) for limit in limits.get(name, ()) if not limit.contains(distribution(name).version)]
    for name in client
}))
"""


def test_it_lives_beside_litellms_proxy(built: Built, python: Path) -> None:
    """What the client needs, and what that needs, is installed in versions that litellm[proxy] allows."""
    where = {"cwd": built.home, "PYTHONPATH": str(built.installed)}
    check = run(python, "-m", "pip", "--disable-pip-version-check", "check", **where)
    assert check.returncode == 0, check.stdout + check.stderr
    done = run(python, "-c", AGREE, **where)
    assert done.returncode == 0, done.stderr
    wrong = json.loads(done.stdout)
    assert {"aiokafka", "pydantic"} <= set(wrong)
    assert {name: limits for name, limits in wrong.items() if limits} == {}

"""What ARCHITECTURE.md, CONTRIBUTING.md and the guides name is there: files, folders, commands of make, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAPERS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
GUIDES = [*PAPERS, *sorted((ROOT / "docs").glob("*.md")), ROOT / "tests" / "support" / "README.md"]
HOMES = [ROOT, ROOT / "src" / "llmvitals", ROOT / "tests", ROOT / "tests" / "support"]
"""Where a path begins that a paper names."""
TO_BE_WRITTEN = {"x", "NN-x"}
"""Names of what a reader will add."""
THE_USERS = {"llmvitals.toml", "db/autogen"}
"""A file and a bucket of the user."""
PATH = re.compile(r"`([\w.{}-]+(?:/[\w.*-]+)+/?|[\w./-]+\.(?:py|md|yaml|toml)|[\w./-]+/)`")


def paths(text: str) -> list[str]:
    """The paths in backquotes that are to exist."""
    found = [
        path for path in PATH.findall(text) if not path.startswith(("llm.", "/")) and path not in THE_USERS
    ]
    return [path for path in found if not TO_BE_WRITTEN & {Path(part).stem for part in Path(path).parts}]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_the_paths_that_a_paper_names_exist(paper):
    text = paper.read_text(encoding="utf-8")
    assert [path for path in paths(text) if not any((home / path).exists() for home in HOMES)] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(guide):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", guide.read_text(encoding="utf-8"))
    assert [link for link in links if not (guide.parent / link).exists()] == []


def test_every_guide_is_in_the_table_of_the_readme():
    linked = set(re.findall(r"\]\((docs/\w+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} == linked


def test_every_topic_is_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    files = sorted((ROOT / "topics").glob("*.yaml"))
    topics = [yaml.safe_load(file.read_text(encoding="utf-8"))["meta"]["name"] for file in files]
    assert [topic for topic in topics if f"`{topic}`" not in text] == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_what_make_is_told_to_do_it_can_do(paper):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make (\w+)", paper.read_text(encoding="utf-8"), re.MULTILINE)) <= targets

"""What the README shows works: its rules load, its call is a call, its commands and settings are there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from llmvitals.record.call import CallEvent
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from llmvitals.window import SECOND

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """Every llmvitals command line, without its comment."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("llmvitals ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_rules_load(tmp_path):
    for number, text in enumerate(blocks("yaml")):
        (tmp_path / f"{number}.yaml").write_text(text)
    rules = load_engine(tmp_path, 10 * SECOND).rules
    assert {rule.condition.kind for rule in rules.rules} == {
        "budget", "threshold", "drift", "canary", "regression", "change",
    }  # fmt: skip


def test_the_call_counts_where_it_is_pasted_and_counts_again():
    """One of a year ago is late, and is in no window that people look at; one with the same id is a copy."""
    (text,) = blocks("python")
    (written,) = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)]
    source = compile(ast.Expression(written), "README.md", "eval")
    one, other = (CallEvent.model_validate(eval(source, {"time": time, "uuid": uuid})) for _ in range(2))  # noqa: S307
    assert (one.app, one.input_tokens) == ("support-bot", 1200)
    assert one.id != other.id
    assert isinstance(one.ts, int)
    assert abs(time.time() - one.ts / 1_000) < 3_600


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_there(words):
    """Each command and each of its options is known; `--help` alone would not look at the options."""
    path = [word for word in words if not word.startswith("-")]
    depth = 2 if path[0] in {"topics", "config", "alerts", "silence", "drift", "canary"} else 1
    # A process of its own: a command sets up logging for all of its process.
    shown = subprocess.run(
        [sys.executable, "-m", "llmvitals", *path[:depth], "--help"],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout)
    assert [word for word in words if word.startswith("--") and word not in plain] == []


def test_settings_are_there():
    named = {name.lower() for name in re.findall(r"LLMVITALS_([A-Z_]+[A-Z])", README)}
    assert named - set(Settings.model_fields) == {"test_seeds", "test_days"}


def test_make_targets_are_there():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

"""Builds and installs distributions as users do, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from llmvitals.errors import Unavailable
from real_parts import unavailable

ROOT = Path(__file__).parents[2]


def run(*words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A command, with our environment but for what would lead it back to the checkout, or to settings of ours."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLMVITALS_", "PYTHON", "VIRTUAL_ENV"))
    }
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=ours | plain | env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=600, check=False,
    )  # fmt: skip


def pip(python: Path | str, *words: str | Path, cwd: Path) -> None:
    """pip, as it is configured here; skips where it has no network."""
    done = run(python, "-m", "pip", *words, "--quiet", cwd=cwd)
    if "ConnectionError" in done.stderr or "Temporary failure in name resolution" in done.stderr:
        unavailable(Unavailable(f"pip can't reach its index: {done.stderr[-300:]}"))
    assert done.returncode == 0, done.stdout + done.stderr


def client(home: Path) -> Path:
    """Build llmvitals-client, its sdist and its wheel, into the folder `dist` of home; returns the wheel."""
    pip(sys.executable, "install", "--target", home / "hatchling", "hatchling>=1.27", cwd=home)
    return hatchling(home, ROOT / "client", home / "dist")


def hatchling(home: Path, project: Path, into: Path) -> Path:
    """Build a project with the hatchling that `client` has put into home; returns the wheel."""
    done = run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-d",
        into,
        cwd=project,
        PYTHONPATH=str(home / "hatchling"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = into.glob("*.whl")
    return wheel


def overlay(home: Path) -> Path:
    """Install the client alone into a folder, which an environment with its dependencies takes as PYTHONPATH."""
    pip(sys.executable, "install", "--no-deps", "--target", home / "client", client(home), cwd=home)
    return home / "client"

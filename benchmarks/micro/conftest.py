"""What the microbenchmarks share: calls, frames and points as they lie on the topics."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.calls import Calls

from benchmarks import merge
from llmvitals.record.log import Logged, Topic

COUNT = 2_000
"""Records of a batch: a fetch of about 1 MB."""
USERS = 500


@pytest.fixture(scope="session")
def calls() -> list[Logged]:
    """A batch of calls."""
    calls, start = Calls(USERS), merge.START
    return [Logged(number, start + number, calls.at(start + number)) for number in range(COUNT)]


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Logged]:
    """The frames of a minute from four partitions, each with a call of every user in every pane."""
    path: Path = tmp_path_factory.mktemp("frames") / "frames"
    merge.make(path, USERS, 6)
    return list(merge.read(path))


@pytest.fixture(scope="session")
def points(frames: list[Logged]) -> list[Logged]:
    """The points that merge makes of these frames."""
    stage = merge.new_stage()
    values = [
        message.value for message in (*stage.apply(frames), *stage.finish()) if message.topic is Topic.VITALS
    ]
    return [Logged(offset, 0, value) for offset, value in enumerate(values)]

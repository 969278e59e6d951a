"""Copied processes end with the first one, and their errors are known there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmvitals.backtest.copied_process import CopiedProcess, result
from llmvitals.errors import LlmvitalsError
from waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can copy a process")

BEGUN = """
import multiprocessing, signal
from llmvitals.backtest.copied_process import CopiedProcess
processes = [CopiedProcess(None) for _ in range(3)]
print(*[process.pid for process in multiprocessing.active_children()], flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_end_when_the_first_process_is_killed(number: signal.Signals):
    with subprocess.Popen([sys.executable, "-c", BEGUN], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        pids = [int(word) for word in first.stdout.readline().split()]
        assert len(pids) == 3
        first.send_signal(number)
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], 10, "they go on")


def test_tasks_change_the_copy_in_their_order():
    numbers = [1]
    process = CopiedProcess(numbers)
    for number in range(2, 9):
        process.begin(list.append, number)
    assert process.end(list.copy) == [*range(1, 9)]
    assert numbers == [1]


def test_what_a_task_raises_is_raised_here_at_the_end():
    process = CopiedProcess([1])
    process.begin(list.remove, 7)
    with pytest.raises(ValueError, match="not in list"):
        process.end(list.copy)


def test_one_that_is_killed_is_told_with_what_may_help():
    before = {process.pid for process in multiprocessing.active_children()}
    process = CopiedProcess(None)
    (killed,) = {process.pid for process in multiprocessing.active_children()} - before
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(LlmvitalsError, match="was killed; the machine may be out of memory"):
        result(process.begin(repr))

"""Processes that evaluate views end with the first one, and their errors are known there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmvitals.backtest.evaluator_process import EvaluatorProcess
from llmvitals.backtest.reader import Coder
from llmvitals.errors import LlmvitalsError
from waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can copy a process")

BEGUN = """
import multiprocessing, signal
from llmvitals.backtest.evaluator_process import EvaluatorProcess
from llmvitals.backtest.reader import Coder
processes = [EvaluatorProcess([], Coder([])) for _ in range(3)]
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


def test_one_that_is_killed_is_told_with_what_may_help():
    before = {process.pid for process in multiprocessing.active_children()}
    process = EvaluatorProcess([], Coder([]))
    (killed,) = {process.pid for process in multiprocessing.active_children()} - before
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(LlmvitalsError, match="was killed; the machine may be out of memory"):
        process.end()

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from llmvitals.runtime.kafka.feed import Progress
from llmvitals.runtime.kafka.watchdog import SUPERVISOR, Guard, Patience
from waiting import deadline, until

HERE = TopicPartition("calls", 0)

SUPERVISOR_PROGRAM = """
import sys
from llmvitals.settings import Settings
from llmvitals.runtime.supervise import supervise
sys.exit(supervise(sys.argv[3:], Settings(), [sys.executable, "-c", sys.argv[1]], grace=float(sys.argv[2])))
"""
CHILD = """
import os, pathlib, signal, sys, time
kind = sys.argv[1]
pathlib.Path(kind).write_text(str(os.getpid()))
if kind.startswith("code"):
    while not pathlib.Path("good.ready").exists():
        time.sleep(0.02)
    sys.exit(int(kind[4:]))
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path(kind + ".ready").touch()
if kind == "killed":
    while not pathlib.Path("good.ready").exists():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
while True:
    time.sleep(0.1)
"""
PARENT = f"""
import os, subprocess, sys
os.environ[{SUPERVISOR!r}] = str(os.getpid())
print(subprocess.Popen([sys.executable, "-c", sys.argv[1]]).pid, flush=True)
input()
"""
GUARDED = """
import signal, sys, time
from llmvitals.runtime.kafka.watchdog import Guard
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
guard = Guard(60)
guard.start()
open("guarded", "w").write("x")
while True:
    time.sleep(0.1)
"""


def start(folder: Path, *children: str, grace: float = 300) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR_PROGRAM, CHILD, str(grace), *children],
        cwd=folder,
        stderr=subprocess.PIPE,
    )


def alive(folder: Path, child: str) -> bool:
    try:
        os.kill(int((folder / child).read_text()), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("child", "code"), [("code3", 3), ("code0", 0), ("killed", 137)])
def test_when_one_ends_all_end_with_its_code(tmp_path: Path, child: str, code: int) -> None:
    supervisor = start(tmp_path, "good", child)
    _, said = supervisor.communicate(timeout=deadline(20))
    assert supervisor.returncode == code
    assert f"The {child} worker has ended" in said.decode()
    assert not alive(tmp_path, "good")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_is_passed_on_and_gives_zero(tmp_path: Path, number: signal.Signals) -> None:
    supervisor = start(tmp_path, "good", "better")
    until(lambda: (tmp_path / "good.ready").exists() and (tmp_path / "better.ready").exists())
    supervisor.send_signal(number)
    supervisor.communicate(timeout=deadline(20))
    assert supervisor.returncode == 0
    assert not alive(tmp_path, "good")
    assert not alive(tmp_path, "better")


def test_who_does_not_end_is_killed(tmp_path: Path) -> None:
    supervisor = start(tmp_path, "good", "deaf", grace=1.5)
    until(lambda: (tmp_path / "good.ready").exists() and (tmp_path / "deaf.ready").exists())
    supervisor.terminate()
    supervisor.communicate(timeout=deadline(20))
    assert supervisor.returncode == 1
    assert not alive(tmp_path, "deaf")


def test_a_worker_ends_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, GUARDED], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    until((tmp_path / "guarded").exists)
    parent.kill()
    parent.communicate()
    until(
        lambda: (
            not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text()
        )
    )


def test_a_hanging_loop_ends_the_process(tmp_path: Path) -> None:
    program = (
        "from llmvitals.runtime.kafka.watchdog import Guard; import time; Guard(0.2).start(); time.sleep(600)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=deadline(20), check=False
    )
    assert done.returncode == 1
    assert b"The event loop hangs" in done.stderr


def test_an_orderly_end_has_a_time_of_its_own() -> None:
    """A worker that is told to stop no longer beats; a short `stall` must not end it on the way."""
    program = (
        "from llmvitals.runtime.kafka.watchdog import Guard; import time; guard = Guard(0.2); guard.end_within({}); "
        "guard.start(); time.sleep({})"
    )
    for seconds, sleep, code in ((600, 1.5, 0), (0.1, 600, 1)):
        done = subprocess.run(
            [sys.executable, "-c", program.format(seconds, sleep)], timeout=deadline(20), check=False
        )
        assert done.returncode == code


def test_a_guard_that_is_stopped_harms_nobody() -> None:
    guard = Guard(60)
    guard.start()
    guard.beat()
    guard.stop()
    guard.join(deadline(5))
    assert not guard.is_alive()


def test_lag_without_progress_is_a_stall_and_nothing_else_is() -> None:
    patience, ends = Patience(60), {HERE: 10}
    assert patience.look(0, [Progress(HERE, 5, None)], ends) is None
    assert patience.look(59, [Progress(HERE, 5, None)], ends) is None
    stalled = patience.look(60, [Progress(HERE, 5, None)], ends)
    assert str(stalled) == (
        "calls[0] stands at offset 5 for 60 s, 5 records before its end: restarting is the cure"
    )


@pytest.mark.parametrize(
    "between",
    [
        Progress(HERE, 6, None),
        Progress(HERE, 10, None),
        Progress(HERE, 5, "InfluxDB is down"),
        Progress(HERE, 5, None, pieces=7),
    ],
    ids=["progress", "no lag", "waits for somebody else", "works on one record"],
)
def test_the_clock_of_a_stall_begins_again_with(between: Progress) -> None:
    patience, ends = Patience(60), {HERE: 10}
    patience.look(0, [Progress(HERE, 5, None)], ends)
    patience.look(59, [between], ends)
    assert patience.look(100, [Progress(HERE, between.next, None, between.pieces)], ends) is None


def test_a_partition_that_left_is_forgotten() -> None:
    patience, ends = Patience(60), {HERE: 10}
    patience.look(0, [Progress(HERE, 5, None)], ends)
    patience.look(30, [], ends)
    assert patience.look(61, [Progress(HERE, 5, None)], ends) is None

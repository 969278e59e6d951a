"""What merge costs without Kafka: `python -m benchmarks.merge [USERS] [PANES]`.

Every user calls once on each of four partitions in each pane of 10 s. The combine stages make the frames of
that, in another process; merge takes them and fills the windows up to a day. The time is the processor's.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final

from benchmarks.bench import Bench, Figure, MeasureFailed, Measurement, Result
from benchmarks.calls import PARTITIONS, Calls
from benchmarks.watched import peak_mb
from benchmarks.worker_rates import USERS
from benchmarks.workers import PATIENCE, output

from llmvitals.combine import Combine, CombinePlan
from llmvitals.ingest import decode
from llmvitals.merge import Limits, Merge, MergePlan
from llmvitals.price import Prices
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.native import DECODER
from llmvitals.record.view import View
from llmvitals.window import SECOND

PANE_MS: Final = 10_000
START: Final = 1_700_006_400_000
"""ms since 1970, where an hour begins."""
BATCH: Final = 2_000
VIEW: Final = View("user", ("user",), exemplars=False)
"""As `Pipeline` has it where no rule reads the view."""
USUAL: Final = 10_000
CALLS_AN_ENTRY: Final = 2
"""Of --calls: so many times fewer entries are merged."""


def make(path: Path, users: int, panes: int) -> None:
    """Write the frames of so many panes, the last of which ends a minute, to a file."""
    plan = CombinePlan(decode, Prices().assess_all, DECODER.decode, views=(VIEW,), max_series=10**6)
    stages = [
        Combine(plan, source=f"calls/{number}", sources={"calls": PARTITIONS}, parts={}, beginning=0)
        for number in range(PARTITIONS)
    ]
    calls = Calls(users)
    with path.open("wb") as file:
        for pane in range(panes):
            first = START + (pane + -panes % 6) * PANE_MS
            for stage in stages:
                records = records_of(calls, first, stage.next)
                while batch := list(islice(records, BATCH)):
                    write(file, stage.apply(batch))
                    stage.delivered(stage.mark())
        for stage in stages:
            write(file, stage.finish())


def records_of(calls: Calls, first: int, offset: int) -> Iterator[Logged]:
    """A call of every user within the pane that begins at `first`, ms."""
    for user in range(calls.users):
        ts = first + user * PANE_MS // calls.users
        yield Logged(offset + user, ts, calls.at(ts, user))


def write(file: IO[bytes], messages: Sequence[Message]) -> None:
    """Append the frames, each after its length in bytes."""
    for message in messages:
        if message.topic is Topic.PARTIALS and message.value is not None:
            file.write(len(message.value).to_bytes(4, "big") + message.value)


def read(path: Path) -> Iterator[Logged]:
    """The frames of a file as records."""
    with path.open("rb") as file:
        offset = 0
        while head := file.read(4):
            yield Logged(offset, 0, file.read(int.from_bytes(head, "big")))
            offset += 1


def new_stage() -> Merge:
    """A merge stage of the view by user, without rules."""
    plan = MergePlan(10 * SECOND, {VIEW.name: VIEW}, limits=Limits(series=10**6))
    return Merge(plan, shard=0, parts={}, beginning=0)


def merge(path: Path) -> dict[str, float]:
    """Merge the frames of a file; reading it is not counted."""
    gc.set_threshold(100_000, 20, 20)  # as llmvitals.entry
    gc.freeze()
    stage = new_stage()
    spent, longest, size = 0.0, 0.0, 0
    for frame in read(path):
        began = time.process_time()
        pieces = stage.pieces([frame])
        while True:
            piece = time.perf_counter()
            messages = next(pieces, None)
            longest = max(longest, time.perf_counter() - piece)
            if messages is None:
                break
            size += sum(len(message.value or b"") for message in messages)
        spent += time.process_time() - began
    began = time.process_time()
    stage.finish()
    spent += time.process_time() - began
    return {
        "entries": stage.counters["entries"] / spent,
        "points": stage.counters["points"] / spent,
        "longest_ms": longest * 1e3,
        "mb": peak_mb(),
        "bytes_a_point": size / max(stage.counters["points"], 1),
    }


def measured(users: int, panes: int, folder: Path) -> dict[str, float]:
    """Make the frames and merge them, each in a process of its own, so that the memory is merge's."""
    file, log = folder / f"frames-{users}", folder / "merge.log"
    output(["benchmarks.merge", "make", str(file), str(users), str(panes)], log, PATIENCE)
    lines = output(["benchmarks.merge", "merge", str(file)], log, PATIENCE)
    file.unlink()
    try:
        answer: dict[str, float] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise MeasureFailed(f"merge with {users:,} users failed: {lines[-1:]}") from None
    return answer


def panes_of(users: int, entries: int) -> int:
    """How many panes make about so many entries: whole minutes, or half of one where that is too much."""
    panes = entries // (users * PARTITIONS)
    return panes // 6 * 6 if panes >= 6 else 3


def measure(bench: Bench) -> Iterator[Result]:
    """Entries and points a second, by users."""
    for users in USERS:
        names = f"merge-entries{suffix(users)}", f"merge-points{suffix(users)}"
        usual = users == USUAL
        if not bench.wants(*names, *([POINT_BYTES.name] if usual else [])):
            continue
        panes = panes_of(users, bench.calls // CALLS_AN_ENTRY)
        bench.say(f"merge, {users:,} users, {panes} panes")
        rates = measured(users, panes, bench.folder)
        yield Result(names[0], rates["entries"], rates["mb"])
        yield Result(names[1], rates["points"])
        if usual:
            yield Result(POINT_BYTES.name, rates["bytes_a_point"])


def suffix(users: int) -> str:
    """The end of the names of a size; the usual one has none."""
    return "" if users == USUAL else f"-{users}"


POINT_BYTES: Final = Figure("point-bytes", "bytes", f"a point on its topic, {USUAL:,} users", rate=False)
FIGURES: Final = tuple(
    Figure(f"merge-{what}{suffix(users)}", what, f"merge without Kafka, {users:,} users")
    for users in USERS
    for what in ("entries", "points")
)
MEASUREMENT: Final = Measurement("merge", (*FIGURES, POINT_BYTES), measure)


def main(words: list[str]) -> None:
    """Two commands are for `measured`: make FILE USERS PANES, and merge FILE."""
    if words[:1] == ["make"]:
        make(Path(words[1]), int(words[2]), int(words[3]))
    elif words[:1] == ["merge"]:
        print(json.dumps(merge(Path(words[1]))))
    else:
        users, panes = [*map(int, words), *(10_000, 6)[len(words) :]]
        with tempfile.TemporaryDirectory() as folder:
            for name, value in measured(users, panes, Path(folder)).items():
                print(f"{name:14} {value:12,.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])

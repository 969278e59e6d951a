"""The cells of arms: what combine sends of them is what the arm holds, by who called."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brute import PANE, event, events, logged, plan, stage
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch.cells import (
    CELLS,
    COLUMN,
    COLUMNS,
    FIRST_BIN,
    PARTS,
    TIMES,
    Cells,
    cell_of,
    pack_cells,
    unpack_cells,
)
from llmvitals.sketch.quantiles import STRIDE
from sent_frames import frames

START = 1_700_000_000 * 1_000_000 // PANE * PANE
ARMS = View("arms", ("app", "prompt_version"), contributors=True, split=True)
OWN = {"paid_calls": lambda arm: arm.total("priced_calls") - arm.total("free_calls")}


def sent(calls: list[dict[str, Any]], source: str = "calls/0") -> dict[tuple[str, ...], Vitals]:
    """What combine sends of calls in one pane: series of ARMS → vitals."""
    combine = stage(plan(views=(ARMS, View("all", contributors=True))), source=source)
    log = [(START, event(number, START) | call) for number, call in enumerate(calls)]
    messages = [*combine.apply(logged(log)), *combine.finish()]
    entries = [entry for frame in frames(messages) for entry in frame.entries]
    assert all(Vitals.unpack(entry.vitals).cells is None for entry in entries if entry.view == "all")
    return {entry.series: Vitals.unpack(entry.vitals) for entry in entries if entry.view == "arms"}


def table(cells: Cells | None) -> np.ndarray:
    """The sums of cells: a row for each column."""
    found = np.zeros((FIRST_BIN + len(TIMES) * STRIDE, CELLS), np.int64)
    if cells is not None:
        np.add.at(found.reshape(-1), cells.sums[0].astype(int), cells.sums[1])
    return found


@settings(max_examples=50)
@given(st.lists(events, max_size=25))
def test_the_cells_of_an_arm_add_up_to_the_arm(calls):
    for arm in sent(calls).values():
        sums = table(arm.cells).sum(axis=1)
        for name in set(COLUMNS) - {"user_calls", "session_calls", "user_session_calls"}:
            assert sums[COLUMN[name]] == OWN.get(name, lambda arm, name=name: arm.total(name))(arm)
        keys, counts = arm.bins
        times = dict(zip(keys.tolist(), counts.tolist(), strict=True))
        bins = np.flatnonzero(sums[FIRST_BIN:])
        assert dict(zip(bins.tolist(), sums[FIRST_BIN:][bins].tolist(), strict=True)) == {
            key: count for key, count in times.items() if key < len(TIMES) * STRIDE
        }
        scores = arm.cells.scores if arm.cells else {}
        assert {name: _of_score(each) for name, each in scores.items()} == {
            name: score[:2] for name, score in arm.scores.items()
        }


def _of_score(cells: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    count = cells[0] < CELLS
    return int(cells[1][count].sum()), int(cells[1][~count].sum())


@settings(max_examples=30)
@given(st.lists(events, max_size=20), st.integers(0, 20))
def test_partitions_add_up_to_the_same_bytes(calls, cut):
    calls = [
        {**call, "id": f"c{number}", "response_id": "", "span_id": ""} for number, call in enumerate(calls)
    ]
    whole, left, right = sent(calls), sent(calls[:cut], "calls/1"), sent(calls[cut:], "calls/2")
    for series, arm in whole.items():
        parts = merged([part[series] for part in (left, right) if series in part])
        assert (parts.cells is None) == (arm.cells is None)
        assert (table(parts.cells) == table(arm.cells)).all()
        if arm.cells is not None:
            assert merged([parts]).pack()[-200:] == arm.pack()[-200:]


def test_a_call_is_of_its_session_of_its_user_else_of_its_trace():
    calls: list[dict[str, Any]] = [
        {"user": "u1", "trace_id": "t1"},
        {"session": "s1", "trace_id": "t2", "status": "error"},
        {"trace_id": "t3", "latency_ms": 30},
        {"id": "alone"},
    ]
    (arm,) = sent([call | {"prompt_version": "v1"} for call in calls]).values()
    found = table(arm.cells)
    want = [cell_of(name) for name in ("u1", "s1", "t3", "alone")]
    assert np.flatnonzero(found[COLUMN["calls"]]).tolist() == sorted(want)
    assert np.flatnonzero(found[COLUMN["user_calls"]]).tolist() == [want[0]]
    assert np.flatnonzero(found[COLUMN["session_calls"]]).tolist() == [want[1]]
    assert np.flatnonzero(found[COLUMN["errors"]]).tolist() == [want[1]]
    assert np.flatnonzero(found[FIRST_BIN:].sum(axis=0)).tolist() == [want[2]]


def test_the_sessions_of_a_user_are_in_neighbouring_cells():
    calls = [{"user": "u1", "session": f"s{number}", "prompt_version": "v1"} for number in range(40)]
    (arm,) = sent(calls).values()
    found, first = table(arm.cells), cell_of("u1") // PARTS * PARTS
    used = np.flatnonzero(found[COLUMN["calls"]])
    assert used.tolist() == list(range(first, first + PARTS))
    assert found[COLUMN["user_session_calls"]].sum() == 40
    for number in range(40):
        (alone,) = sent([calls[number]]).values()
        assert np.flatnonzero(table(alone.cells)[COLUMN["calls"]]) % PARTS == cell_of(f"s{number}") % PARTS


def test_frames_of_older_versions_have_64_cells():
    """A user's calls are in the first of the user's cells then."""
    old = (np.array([3, 63, 64 + 5], "<u4").tobytes(), [7, 8, 9])
    cells = unpack_cells((*old, {"helpful": old}))
    assert cells.sums[0].tolist() == [3 * PARTS, 63 * PARTS, CELLS + 5 * PARTS]
    assert cells.scores["helpful"][0].tolist() == cells.sums[0].tolist()
    assert pack_cells(cells) == (*old, {"helpful": old})


def test_users_are_spread_over_cells_however_the_arm_was_drawn():
    """Also where an application draws by the same simple hash."""
    from zlib import crc32  # noqa: PLC0415

    canary = [f"user-{n}" for n in range(100_000) if crc32(f"user-{n}".encode()) % 100 < 10]
    counts = np.bincount([cell_of(name) for name in canary], minlength=CELLS)
    assert counts.min() > 0.4 * counts.mean()
    assert counts.max() < 1.8 * counts.mean()


def test_without_cells_the_bytes_are_those_of_before():
    import msgspec  # noqa: PLC0415

    assert len(msgspec.msgpack.decode(Vitals().pack())) == 8
    (arm,) = sent([{"prompt_version": "v1"}]).values()
    assert Vitals.unpack(arm.pack()) == arm

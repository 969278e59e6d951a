"""A view whose arms are compared: however calls are spread, one home sees all of its arms, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from frames import DAY, FIRST, PANE, SECOND, entry, frame, log, vitals
from llmvitals import ingest
from llmvitals.combine import Combine, CombinePlan
from llmvitals.merge import Merge, MergePlan
from llmvitals.price import Prices
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Message
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER

SPLIT = View("split", ("app", "prompt_version"), stored=False, split=True)
ALONE = View("alone", ("prompt_version",), stored=False, split=True)
Call = tuple[int, str, str]
"""Seconds, app, prompt_version."""
CALLS = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from("abc"), st.sampled_from(["v1", "v2", "_other", ""])),
    min_size=1,
    max_size=40,
)


class Diary:
    """Says of every pane of every home what it held, and all that its memory knows of the home."""

    def reads(self, view: str) -> bool:
        return view in ("split", "alone")

    def due(self, state: dict[str, Any]) -> int:
        return FOREVER

    def quiet(self, *_: Any) -> bool:
        return False

    def absorb(self, *_: Any, **__: Any) -> None:
        raise AssertionError("it is never quiet")

    def headroom(self, *_: Any) -> tuple[dict[tuple[str, ...], int], range]:
        return {}, range(0)

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        return []

    def finish(self, *_: Any) -> list[Any]:
        return []

    def advance(self, view, series, state, *, floor, closed, opened, family) -> list[Alert]:
        assert not opened
        return [self.told(view, series, state, pane, held) for pane, held in closed]

    def told(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], pane: int, held: Vitals
    ) -> Alert:
        arms = {arm: each.total("calls") for arm, each in held.arms.items()}
        state["arms"] = dict(Counter(state.get("arms", {})) + Counter(arms))
        return Alert(
            rule=view, kind="k", status="firing", severity="page", fingerprint="f", episode=str(pane),
            group="-".join(series), labels=dict(zip("ab", series, strict=False)), metric="calls", unit="count",
            value=held.total("calls"), limit=0, since=0, at=pane,
            annotations={"arms": json.dumps([arms, sorted(state["arms"].items())])},
        )  # fmt: skip


def plan() -> MergePlan:
    return MergePlan(PANE, {view.name: view for view in (SPLIT, ALONE)}, engine=Diary(), buckets=8, rounds=8)


def combined(calls: Sequence[Call], dice: Random, partitions: int, shards: int) -> list[list[Message]]:
    """Shard → what combine says to it, in any batches, of calls on any partitions."""
    plan = CombinePlan(
        ingest.decode,
        Prices().assess_all,
        views=(SPLIT, ALONE),
        shards=shards,
        max_series=100,
    )
    logs: list[list[Logged]] = [[] for _ in range(partitions)]
    for number, (second, app, version) in enumerate(sorted(calls)):
        fields: dict[str, Any] = {
            "id": str(number),
            "ts": (DAY // SECOND + second) * 1_000,
            "model": "m",
            "app": app,
        }
        named = {"prompt_version": version} if version else {}
        logs[dice.randrange(partitions)].append(Logged(0, fields["ts"], json.dumps(fields | named).encode()))
    out: list[list[Message]] = [[] for _ in range(shards)]
    for number, each in enumerate(logs):
        stage = Combine(plan, source=f"calls/{number}", sources={"calls": partitions}, parts={}, beginning=0)
        records = [record._replace(offset=at) for at, record in enumerate(each)]
        said = list[Message]()
        while records:
            some = dice.randint(1, 9)
            said += stage.apply(records[:some])
            stage.delivered(stage.mark())
            said += stage.flush()
            del records[:some]
        for message in said + stage.finish():
            out[message.partition or 0].append(message)
    return out


def heard(messages: Sequence[Message], shard: int, dice: Random, *, dies: bool) -> list[Alert]:
    """What a shard's merge says of these; dies: in the middle, to go on from its checkpoint."""
    records = [Logged(at, 0, message.value) for at, message in enumerate(messages)]
    stage, out = Merge(plan(), shard=shard, parts={}, beginning=0), []
    cut = dice.randint(0, len(records)) if dies else 0
    out += stage.apply(records[:cut])
    if dies:
        stage = Merge(plan(), shard=shard, parts=stage.snapshot(whole=True).parts, beginning=0)
    while stage.next < len(records):
        out += stage.apply(records[stage.next : stage.next + dice.randint(1, 9)])
    return [Alert.decode(message.value or b"") for message in out]


@given(CALLS, st.randoms(use_true_random=False), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_however_calls_are_spread_each_home_sees_the_same_arms(calls, dice, partitions, shards, dies):
    told = [
        alert
        for shard, messages in enumerate(combined(calls, dice, partitions, shards))
        for alert in heard(messages, shard, dice, dies=dies)
    ]
    assert len({(alert.rule, alert.group, alert.at) for alert in told}) == len(told)
    found = {(alert.rule, alert.group, alert.at): (alert.value, alert.annotations["arms"]) for alert in told}
    assert found == expected(calls)


def expected(calls: Sequence[Call]) -> dict[tuple[str, str, int], tuple[float, str]]:
    """Every pane of every home, counted naively."""
    panes: dict[tuple[str, str, int], Counter[str]] = {}
    for second, app, version in sorted(calls):
        # A caller's own `_other` is an arm like any other.
        arm = {"": "unknown", "_other": "_other_"}.get(version, version)
        for view, home in (("split", app), ("alone", "")):
            panes.setdefault((view, home, FIRST + second // 10), Counter())[arm] += 1
    so_far: dict[tuple[str, str], Counter[str]] = {}
    found: dict[tuple[str, str, int], tuple[float, str]] = {}
    for (view, home, pane), arms in sorted(panes.items()):
        total = so_far.setdefault((view, home), Counter())
        total += arms
        said = json.dumps([dict(sorted(arms.items())), sorted(total.items())])
        found[view, home, pane] = (arms.total(), said)
    return found


def test_what_is_over_the_limit_is_no_arm_but_part_of_the_sum():
    entries = [entry(0, vitals(calls=n), "alone", arm) for n, arm in ((5, "v1"), (7, "_other"))]
    (said,) = heard(
        [Message(None, b"", each.value) for each in log([frame(0, 1, *entries, floor=2, of=1)])],
        0,
        Random(1),
        dies=False,
    )
    assert (said.value, json.loads(said.annotations["arms"])[0]) == (12, {"v1": 5})


def test_a_later_frame_takes_the_place_of_its_own_arm_only():
    def one(version: int, arm: str, calls: int, floor: int):
        return frame(0, version, entry(0, vitals(calls=calls), "alone", arm), floor=floor, of=1)

    records = log([one(3, "v1", 5, 0), one(2, "v1", 1, 0), one(4, "v2", 2, 0), one(5, "v2", 3, 1)])
    (said,) = heard([Message(None, b"", each.value) for each in records], 0, Random(1), dies=False)
    assert (said.value, json.loads(said.annotations["arms"])[0]) == (8, {"v1": 5, "v2": 3})

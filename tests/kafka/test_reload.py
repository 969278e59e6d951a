"""Rules that change while everything runs: right ones hold, wrong ones are refused, and nothing is miscounted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster
from exact import MINUTE, START, conserved, dead_letters, publish, settled
from llmvitals.errors import RuleError
from llmvitals.meters import Unmetered
from llmvitals.record.alert import Alert
from llmvitals.rules.files import rule_files
from llmvitals.rules.folder import Folder
from llmvitals.runtime.reload import Reload
from oracle import Logs
from waiting import deadline, eventually, until

if TYPE_CHECKING:
    from pathlib import Path

    from cluster import Worker


def write(path: Path, text: str) -> None:
    """As editors do: the file is never half there."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


# The folder


def test_a_folder_has_changed_when_what_rules_read_of_it_has(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rules")
    assert not folder.changed()
    assert not folder.there
    (tmp_path / "rules").mkdir()
    for name, text, changed in [
        ("a.yaml", "one", True),
        ("a.yaml", "one", False),
        ("a.yaml", "two", True),
        ("b.yml", "one", True),
        ("a_test.yaml", "one", False),
        ("notes.txt", "one", False),
    ]:
        write(tmp_path / "rules" / name, text)
        assert folder.changed() == changed, (name, text)
        assert not folder.changed()
    (tmp_path / "rules" / "b.yml").unlink()
    assert folder.changed()


class Told(Unmetered):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.events.append((name, value))

    def note(self, who: str, text: str | None) -> None:
        self.events.append(text)

    async def have(self, count: int) -> None:
        await eventually(lambda: len(self.events) >= count, 20, lambda: str(self.events), every=0.01)


async def test_wrong_rules_are_refused_once_and_right_ones_handed_on(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    meters, file = Told(), folder / "a.yaml"
    write(file, "right")

    def reread() -> str:
        if (text := file.read_text()) == "wrong":
            raise RuleError("no such thing", file="a.yaml", line=3, column=5)
        return text

    reload = Reload(folder, reread, meters, look=0.01)
    waiting = asyncio.create_task(reload.next())
    write(file, "wrong")
    await meters.have(3)
    await asyncio.sleep(0.1)  # it looks again, ten times, and has nothing new to say
    refused = "the rules are refused, and those before hold on: a.yaml:3:5: no such thing"
    assert meters.events == [("rules_ok", 1), ("rules_ok", 0), refused]
    reload.ask()
    await meters.have(5)
    write(file, "right again")
    assert await waiting == "right again"
    reload.holds()
    assert meters.events[5:] == [("rules_ok", 1), None]
    waiting = asyncio.create_task(reload.next())
    folder.rename(tmp_path / "elsewhere")
    await meters.have(9)
    assert meters.events[8].endswith(f"the folder {folder} is gone: put it back")
    waiting.cancel()


async def test_who_asks_while_the_folder_is_looked_at_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.yaml", "right")
    reload = Reload(tmp_path, lambda: "read", Told(), look=0.01)
    asked: list[None] = []

    def looked(_: object) -> bool:
        if not asked:
            asked.append(reload.ask())
        return False

    monkeypatch.setattr("llmvitals.runtime.reload.Folder.changed", looked)
    assert await asyncio.wait_for(reload.next(), deadline(5)) == "read"


async def test_a_folder_that_cant_be_read_for_a_while_is_told_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.yaml", "right")
    meters = Told()
    reload = Reload(tmp_path, lambda: [path.read_text() for path in rule_files(tmp_path)], meters, look=0.01)
    waiting = asyncio.create_task(reload.next())

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.iterdir", refuse)
        await meters.have(3)
    assert meters.events[2].endswith(f"the folder {tmp_path} can't be read: Permission denied")
    assert await asyncio.wait_for(waiting, deadline(10)) == ["right"]


CHILD = """
import pathlib, signal, sys, time
from signal import SIGHUP, SIGTERM
kind = sys.argv[1]
signal.signal(SIGTERM, lambda *_: sys.exit(0))
if kind == "late":
    pathlib.Path("late").touch()
    while not pathlib.Path("told").exists():
        time.sleep(0.02)
signal.signal(SIGHUP, lambda *_: pathlib.Path(kind + ".again").touch())
pathlib.Path(kind + ".ready").touch()
while True:
    time.sleep(0.05)
"""
SUPERVISOR = """
import sys
from llmvitals.settings import Settings
from llmvitals.runtime.supervise import supervise
sys.exit(supervise(["one", "two", "late"], Settings(), [sys.executable, "-c", sys.argv[1]]))
"""


def test_the_supervisor_passes_it_on_and_no_child_dies_of_it(tmp_path: Path) -> None:
    """Not even one that is told before it listens."""
    process = subprocess.Popen([sys.executable, "-c", SUPERVISOR, CHILD], cwd=tmp_path)
    try:
        until(lambda: all((tmp_path / name).exists() for name in ("one.ready", "two.ready", "late")), 20)
        until(lambda: again(process, tmp_path), 20)
        (tmp_path / "told").touch()
        until(lambda: (tmp_path / "late.ready").exists(), 20)
        process.send_signal(signal.SIGHUP)
        until(lambda: (tmp_path / "late.again").exists(), 20)
    finally:
        process.terminate()
    assert process.wait(20) == 0


def again(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Tell it until the children have heard: it may have to start first."""
    process.send_signal(signal.SIGHUP)
    time.sleep(0.05)
    return all((folder / f"{name}.again").exists() for name in ("one", "two"))


# Everything, on Kafka

DAY = """groups:
- name: g
  rules:
  - alert: {name}
    budget: {{metric: calls, limit: {limit}, per: day, by: [{by}], thresholds: [100%]}}
"""


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    rules = tmp_path / "rules"
    rules.mkdir()
    write(rules / "first.yaml", DAY.format(name="First", limit=50, by="team"))
    async with Cluster(
        kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", alerts=rules, idle="10m"
    ) as made:
        yield made


async def alerts(cluster: Cluster, rule: str) -> list[Alert]:
    records = await cluster.read(cluster.settings.topic("alerts"))
    found = [Alert.decode(record.value) for record in records]
    return [alert for alert in found if alert.rule == rule and not alert.update]


def notes(worker: Worker) -> list[str]:
    """What /readyz says beside being ready."""
    with urllib.request.urlopen(f"{worker.url}/readyz", timeout=deadline(5)) as answer:
        found: list[str] = json.loads(answer.read())["notes"]
    return [note for note in found if "catching up" not in note]


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_rules_change_while_calls_flow_and_every_number_stays_exact(cluster: Cluster) -> None:
    logs = Logs(START, 20 * MINUTE, seed=7)
    workers = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
    combine, merge, _ = workers
    rules = cluster.folder / "rules"

    async def all_of(fact: Any, what: str) -> None:
        await asyncio.to_thread(until, lambda: all(map(fact, workers)), 40, lambda: what + cluster.logs())

    def renewed(times: int) -> Any:
        return lambda worker: worker.text().count("hold now, in place of those before") == times

    async def fires(rule: str, why: str) -> list[Alert]:
        async def told() -> list[Alert]:
            assert all(worker.process.poll() is None for worker in workers), cluster.logs()
            return await alerts(cluster, rule)

        found: list[Alert] = await eventually(told, 90, lambda: why + cluster.logs(), every=0.2)
        assert found[0].status == "firing", why
        return found

    await publish(cluster, logs, (0, 0.3))
    await asyncio.to_thread(until, lambda: merge.metric("llmvitals_entries_total") > 0, 40, cluster.logs)
    publishing = asyncio.create_task(publish(cluster, logs, (0.3, 0.45)))
    write(rules / "second.yaml", DAY.format(name="Second", limit=5, by="team, app"))
    await all_of(renewed(1), "the second rule holds")
    await publishing
    await publish(
        cluster, logs, (0.45, 0.6)
    )  # the view has what comes after it, however long it took to hold
    await fires("Second", "a view that nobody had before")

    write(rules / "second.yaml", "groups:\n- name: g\n  rulez: []\n")
    await all_of(lambda worker: "the rules are refused" in worker.text(), "it is refused")
    for worker in workers:
        (note,) = notes(worker)
        assert f"{rules}/second.yaml:3:3" in note
        assert "did you mean rules" in note
        assert worker.metric("llmvitals_rules_ok") == 0
    publishing = asyncio.create_task(publish(cluster, logs, (0.6, 0.8)))
    for worker in workers:
        worker.signal(signal.SIGHUP)
    await all_of(lambda worker: worker.text().count("the rules are refused") == 2, "and again when asked")
    await publishing

    (rules / "second.yaml").unlink()
    write(rules / "first.yaml", DAY.format(name="First", limit=5_000, by="team"))
    await all_of(lambda worker: worker.metric("llmvitals_rules_ok") == 1, "it is right again")
    await all_of(renewed(2), "and holds")
    assert [notes(worker) for worker in workers] == [[], [], []]
    await publish(cluster, logs, (0.8, 1))
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)
    assert conserved(combine) == logs.total
    last = {alert.episode: alert for alert in await alerts(cluster, "Second")}
    assert {alert.status for alert in last.values()} == {"resolved"}
    first = {alert.episode: alert for alert in await alerts(cluster, "First")}
    assert {alert.status for alert in first.values()} == {"resolved"}
    assert {alert.note for alert in first.values()} == {"the limit was raised from 50 to 5,000"}
    assert [worker.process.poll() for worker in workers] == [None, None, None]
    for worker in reversed(workers):
        assert worker.stop() == 0, worker.text()


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_rules_that_are_read_again_in_the_middle_of_rebalances_cost_no_call(cluster: Cluster) -> None:
    """A second worker of each stage joins and leaves while the first is told again and again."""
    logs = Logs(START, 20 * MINUTE, seed=9)
    first = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
    await publish(cluster, logs, (0, 0.3))
    await asyncio.to_thread(until, lambda: first[1].metric("llmvitals_entries_total") > 0, 60, cluster.logs)
    over = asyncio.Event()

    async def bother() -> int:
        times = 0
        while not over.is_set():
            for worker in first:
                worker.signal(signal.SIGHUP)
            times += 1
            await asyncio.sleep(0.3)  # less than it takes
        return times

    bothering = asyncio.create_task(bother())
    second = [cluster.start("combine"), cluster.start("merge")]
    publishing = asyncio.create_task(publish(cluster, logs, (0.3, 0.7)))
    for worker in second:
        await worker.ready()
    await publishing
    for worker in second:
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
    await publish(cluster, logs, (0.7, 1))
    over.set()
    assert await bothering > 5
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)
    for worker in first:
        assert "hold now" in worker.text()
        assert worker.process.poll() is None

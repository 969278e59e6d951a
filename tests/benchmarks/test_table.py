"""The table of `python -m benchmarks`: its names, its JSON, its page; nothing is measured here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.bench import Bench, Result
from benchmarks.capacity import Model
from benchmarks.page import current
from benchmarks.table import cells, number, rows
from benchmarks.workers import MeasureFailed, Worker, caught_up, output

from benchmarks import page, peers, registry
from llmvitals.local.kafka import LocalKafka
from waiting import deadline

ROOT = Path(__file__).parents[2]
REQUIRED = [
    "aiokafka",
    "aiokafka+json",
    "confluent-kafka",
    "faust",
    "quixstreams",
    "llmvitals-combine",
    "llmvitals-combine-10k",
    "llmvitals-merge",
    "combine-users-100",
    "combine-users-1000",
    "combine-users-10000",
    "combine-users-100000",
    "merge-entries",
    "merge-points",
    "sink-influx",
    "sink-sqlite",
    "breach-p50-s",
    "breach-p99-s",
    "longest-stop-ms",
    "restore-10000-s",
    "restore-100000-s",
    "merge-mb-100000",
    "end-to-end-1",
    "end-to-end-2",
]
MEASURED = {
    "cores": 2, "combine-cpu-us": 10, "merge-cpu-us": 50, "kafka-cpu-us": 5, "sink-influx": 10_000, "combine-mb": 100,
    "merge-mb": 200, "sink-mb": 50, "merge-mb-10000": 300, "merge-mb-100000": 1_200, "entries-a-call": 0.1,
    "points-a-second": 500, "calls-bytes-a-call": 450, "partials-bytes-a-call": 40, "point-bytes": 1_000,
}  # fmt: skip


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_every_name_that_others_look_up_is_there():
    assert set(REQUIRED) - set(registry.names()) == set()


def test_a_rate_has_per_s_and_everything_else_value():
    results = [Result("faust", 10_000.0), Result("aiokafka", 300_000.0), Result("breach-p50-s", 0.7)]
    assert rows({result.name: result for result in results}) == [
        {"name": "aiokafka", "per_s": 300_000.0, "unit": "calls", "beside": "faust", "ratio": 30.0},
        {"name": "faust", "per_s": 10_000.0, "unit": "calls", "beside": "faust", "ratio": 1.0},
        {"name": "breach-p50-s", "value": 0.7, "unit": "s"},
    ]


def test_a_figure_has_a_row_of_its_former_name_and_one_line_in_the_table():
    listed = rows({"combine-users-10000": Result("combine-users-10000", 30_000.0, mb=190.0)})
    assert [row["name"] for row in listed] == ["combine-users-10000", "llmvitals-combine-10k"]
    assert {row["per_s"] for row in listed} == {30_000.0}
    assert list(cells(listed)) == [
        ("combine-users-10000", "combine, a view by user, 10,000 users", "30,000 calls/s", "", "190")
    ]


def test_numbers_have_three_digits_or_more():
    assert [number(value) for value in (63_123.4, 3.14159, 0.01234)] == ["63,123", "3.14", "0.0123"]


def test_a_peer_that_is_not_installed_has_a_row_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(
        peers, "PEERS", {"quixstreams": peers.Peer(peers.aiokafka, "no_such_library", "a peer")}
    )
    environment = {"LLMVITALS_BROKERS": "127.0.0.1:1", "LLMVITALS_TOPIC_PREFIX": "t"}
    monkeypatch.setattr(Bench, "env", lambda *_, **__: environment)
    (result,) = peers.measure(Bench(LocalKafka(), tmp_path, 10, lambda _: None))
    (row,) = rows({result.name: result})
    assert row["per_s"] is None
    ((_, _, shown, _, _),) = cells([row])
    assert shown == "not installed: pip install 'llmvitals[peers]'"


def test_a_process_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(MeasureFailed, match="not done after 0 s"):
        output(["http.server", "0", "--bind", "127.0.0.1"], tmp_path / "log", 0)
    assert output(["this"], tmp_path / "log", deadline(30))[0] == "The Zen of Python, by Tim Peters"


def test_a_rate_is_of_whole_reports():
    """Each half second the partitions report one after the other; the last report covers less than that."""
    worker = Worker("combine", {})
    worker.series["in"] = [(10.0, 50), (10.001, 100), (10.5, 600), (11.0, 1_100), (11.5, 1_150)]
    assert worker.rate("in") == pytest.approx(1_000, rel=0.01)
    worker.series["in"] = [(10.0, 100), (10.5, 600)]
    with pytest.raises(MeasureFailed, match="measure more calls"):
        worker.rate("in")


def test_workers_have_caught_up_when_all_that_report_have_nothing_left(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 105.0)
    workers = [Worker("merge", {}) for _ in range(3)]  # the third has no partitions, and reports nothing
    workers[0].series["lag"] = [(101.0, 5), (102.0, 0), (103.0, 0), (104.0, 0)]
    workers[1].series["lag"] = [(102.5, 7), (103.5, 0), (104.5, 0)]
    assert caught_up(workers, 101.0) == 103.5
    assert caught_up(workers, 104.0) is None, "a report that may be older than what is waited for"
    workers[1].series["lag"].append((104.8, 1))
    assert caught_up(workers, 101.0) is None


def test_the_capacity_model():
    """By hand: 1,000 series on 4 partitions send 400 entries/s, and make 1,000 × (1/10 + 4/60) points a second."""
    model = Model(MEASURED)
    need = model.need(10_000, 1_000, 4)
    assert need.cores == pytest.approx({"combine": 0.1, "merge": 0.02, "sink": 1 / 60}, rel=1e-3)
    assert need.workers == {"combine": 1, "merge": 1, "sink": 1}
    assert need.points == pytest.approx(166.7, rel=1e-3)
    assert need.gb == pytest.approx(0.35 + 0.01)
    assert need.mb_s == pytest.approx({"calls": 4.5, "partials": 0.16, "vitals": 0.167}, rel=0.01)
    assert model.need(200_000, 1_000, 4).workers["combine"] == 4
    # 10 µs of combine, 5 of merge, 10 of the sink: one worker a stage is limited by the slowest of them, two by the
    # cores, which Kafka shares.
    assert model.end_to_end(1) == pytest.approx(2 / 30e-6)
    assert Model(MEASURED | {"cores": 64}).end_to_end(1) == pytest.approx(1 / 10e-6)


def test_the_page_is_current():
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == current(text, page.read()), "it is not current: run python -m benchmarks.plots"
    assert "| llmvitals-combine | combine, 4 views |" in text


def test_the_page_says_what_was_not_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    written = current(text, [row for row in page.read() if row["name"] != "sink-influx"])
    assert written.count("Not computed: 'sink-influx' could not be measured.") == 2


def test_the_json_beside_the_page_has_all_figures():
    by_name = {row["name"]: row for row in json.loads(page.FIGURES.read_text(encoding="utf-8"))}
    assert set(registry.names()) - set(by_name) == set()
    assert all(("per_s" in row) != ("value" in row) for row in by_name.values())


def test_help_and_a_name_that_does_not_exist():
    helped, refused = bench("--help"), bench("--only", "fauts")
    assert helped.returncode == 0
    assert {"--only", "--calls", "--json"} <= set(helped.stdout.replace("]", " ").replace("[", " ").split())
    assert refused.returncode == 2
    assert "there is no figure fauts; there are aiokafka, " in refused.stderr


def test_only_measures_what_it_names(tmp_path):
    only = registry.asked_for(["llmvitals-combine-10k", "faust"])
    assert only == {"combine-users-10000", "faust"}
    asked = Bench(LocalKafka(), tmp_path, 10, lambda _: None, only)
    assert asked.wants("aiokafka", "faust")
    assert not asked.wants("aiokafka")
    assert Bench(LocalKafka(), tmp_path, 10, lambda _: None).wants("aiokafka")

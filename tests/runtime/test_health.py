"""What a worker's health pages say, over HTTP as a scraper reads them."""

from __future__ import annotations

import ast
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmvitals.combine.stage import _COUNTERS
from llmvitals.errors import ConfigError
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged
from llmvitals.runtime.health import CHILDREN, PORTS, Health
from llmvitals.runtime.health_metrics import declared
from llmvitals.runtime.kafka.partition_task import counted, labels_of
from llmvitals.runtime.kafka.stage_runner import CUT
from llmvitals.settings import Settings
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.meters import Meters
    from llmvitals.runtime.health_metrics import Kind

SOURCE = Path(__file__).parents[2] / "src" / "llmvitals"
PLACE = {"topic": "llm.calls.v1", "partition": "0"}


@pytest.fixture
def health() -> Iterator[Health]:
    with Health(Settings(health_port=0), "combine") as found:
        yield found


def page(health: Health, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{health.port}{path}", timeout=deadline(5)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(health: Health) -> dict[tuple[str, ...], float]:
    status, text = page(health, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_it_is_ready_when_it_is_told_so_and_says_why_not(health: Health) -> None:
    status, body = page(health, "/readyz")
    assert (status, json.loads(body)["reasons"]) == (503, ["it is starting"])
    health.ready("partitions are being assigned; Slack: invalid_auth")
    status, body = page(health, "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "stage": "combine",
        "reasons": ["partitions are being assigned", "Slack: invalid_auth"],
        "notes": [],
    }
    assert metrics(health)["llmvitals_ready",] == 0
    health.ready(None)
    status, body = page(health, "/readyz")
    assert (status, json.loads(body)) == (
        200,
        {"ready": True, "stage": "combine", "reasons": [], "notes": []},
    )
    assert metrics(health)["llmvitals_ready",] == 1
    assert page(health, "/livez")[0] == 200
    assert page(health, "/other")[0] == 404


def test_counters_gauges_and_times_are_shown_with_their_labels(health: Health) -> None:
    for name, number in {"in": 10, "applied": 6, "duplicate": 2, "dead_lettered": 1, "filtered": 1}.items():
        health.count(name, number, **PLACE)
    health.count("applied", **PLACE)
    health.count("dead_letters", code="not_json", **PLACE)
    health.gauge("lag", 7, **PLACE)
    health.gauge("lag", 3, **PLACE)
    health.observe("checkpoint_seconds", 0.02)
    shown = metrics(health)
    place = ("0", "llm.calls.v1")  # in the order of the labels' names
    assert shown["llmvitals_calls_in_total", *place] == 10
    assert shown["llmvitals_calls_applied_total", *place] == 7
    assert shown["llmvitals_dead_letters_total", "not_json", *place] == 1
    assert shown["llmvitals_lag", *place] == 3
    assert shown["llmvitals_checkpoint_seconds_count",] == 1
    assert shown["llmvitals_checkpoint_seconds_bucket", "0.01"] == 0
    assert shown["llmvitals_checkpoint_seconds_bucket", "0.025"] == 1
    assert shown["llmvitals_process_open_fds",] > 0


def test_a_metric_that_is_not_declared_stops_nothing(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.count("nonsense")
    health.count("nonsense")
    health.gauge("in", 1.0)
    assert [record.message for record in caplog.records] == [
        "the metric 'nonsense' is not declared for combine in health_metrics.py",
        "the metric 'in' is not declared for combine in health_metrics.py",
    ]
    assert not any("nonsense" in name for name, *_ in metrics(health))


def test_labels_are_bounded(health: Health) -> None:
    for number in range(CHILDREN + 50):
        health.count("dead_letters", code=f"c{number}", **PLACE)
    health.count("dead_letters", code="c0", surplus="x", **PLACE)
    shown = {key: value for key, value in metrics(health).items() if key[0] == "llmvitals_dead_letters_total"}
    assert len(shown) == CHILDREN + 1
    assert shown["llmvitals_dead_letters_total", "_other", "_other", "_other"] == 50
    assert shown["llmvitals_dead_letters_total", "c0", "0", "llm.calls.v1"] == 2


def test_it_listens_on_loopback_only_and_lets_go_of_the_port() -> None:
    with Health(Settings(health_port=0), "merge") as health:
        assert health.port > 0
        with pytest.raises(ConnectionRefusedError):  # it would not be, on 0.0.0.0
            socket.create_connection(("127.0.0.2", health.port), timeout=1)
    with socket.create_server(("127.0.0.1", health.port)):
        pass


def test_each_stage_has_its_own_port_and_a_second_worker_takes_a_free_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Health(Settings(health_port=port - PORTS["sink"]), "sink") as health:
            assert health.port != port
            assert page(health, "/livez")[0] == 200
    assert f"port {port} is in use" in caplog.text


def test_a_host_that_is_not_ours_is_refused_with_what_to_set() -> None:
    with (
        pytest.raises(ConfigError, match="LLMVITALS_HEALTH_HOST"),
        Health(Settings(health_host="192.0.2.1", health_port=0), "combine"),
    ):
        pass


EVERYWHERE = ("runtime/app.py", "runtime/reload.py", "runtime/kafka/feed.py")
PARTS = {
    "combine": ("runtime/kafka/stage_runner.py", "combine"),
    "merge": ("runtime/kafka/stage_runner.py", "merge"),
    "sink": ("runtime/kafka/sink_runner.py", "incidents", "notify", "store"),
    "score": ("runtime/kafka/stage_runner.py", "score"),
}
"""What runs in a worker, as far as it counts."""


def told(tree: ast.AST) -> set[str]:
    """The metrics that are handed to Meters by name."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"count", "gauge", "observe"}
        and ast.unparse(node.func.value).endswith(("meters", "counts"))
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def kept(tree: ast.AST) -> set[str]:
    """Those that a stage keeps for the driver, which hands them on: `counters`."""
    places = {
        str(node.slice.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value).endswith("counters")
        and isinstance(node.slice, ast.Constant)
    }
    updates = {
        str(leaf.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("counters.update")
        for leaf in ast.walk(node)
        if isinstance(leaf, ast.Constant)
    }
    return places | updates


@pytest.mark.parametrize("stage", PORTS)
def test_every_metric_is_declared_and_counted(stage: Kind) -> None:
    """None is declared that nobody counts, and none counted that is not declared."""
    files = [
        file
        for part in EVERYWHERE + PARTS[stage]
        for file in ([SOURCE / part] if part.endswith(".py") else (SOURCE / part).rglob("*.py"))
    ]
    trees = [ast.parse(file.read_text()) for file in files]
    names = {name for tree in trees for name in told(tree) | kept(tree)}
    if stage == "combine":
        # Its `dead_letters`, see test_stage_runner.py; the others below.
        names |= {*_COUNTERS, "dead_letters", "unread", "unknown_models"}
    if stage == "merge":
        names |= {CUT}  # its `roster`, see kafka/test_series.py
    assert names == declared(stage).keys()


def test_unread_spans_and_unknown_models_are_told_by_name(health: Health, tmp_path: Path) -> None:
    """What combine keeps by name has its labels on the page, and is told once."""
    settings = Settings(alerts=tmp_path)
    combine = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1}).combines["calls", 0]
    calls = [
        {"id": f"{model}{n}", "ts": 1_790_000_000_000, "provider": "openai", "model": model, "input_tokens": 9,
         "output_tokens": 9}
        for model in ("gpt-4o", "gpt-4o-minni", "zq") for n in range(2)
    ]  # fmt: skip
    now = 1_790_000_000_000
    combine.apply([Logged(place, now, json.dumps(call).encode()) for place, call in enumerate(calls)])
    combine.unread["an.instrumentor"] += 3
    for (name, code), number in counted(combine).items():
        health.count(name, number, **PLACE, **labels_of(code))
    found = metrics(health)
    told = {key[1:]: value for key, value in found.items() if key[0] == "llmvitals_unknown_models_total"}
    assert told == {
        ("openai/gpt-4o-minni", "gpt-4o-mini", "0", "llm.calls.v1"): 1,
        ("openai/zq", "", "0", "llm.calls.v1"): 1,
    }
    assert found["llmvitals_spans_unread_total", "0", "an.instrumentor", "llm.calls.v1"] == 3


def test_no_other_file_counts() -> None:
    parts = {*EVERYWHERE, *(part for stage in PARTS.values() for part in stage)}
    counting = {
        str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if told(ast.parse(file.read_text()))
    }
    assert {file for file in counting if not file.startswith(tuple(parts))} == set()


def test_it_is_the_pipelines_meters() -> None:
    meters: Meters = Health(Settings(health_port=0), "combine")
    meters.count("in", **PLACE)

"""Grafana's dashboard: what its panels ask for is what we write."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

import panes
from llmvitals.metrics.columns import BUDGET, CALLS, COUNTS, MEASURES, TEXTS, TOP
from llmvitals.record.point import Point
from llmvitals.record.view import DEFAULT_VIEWS
from llmvitals.rules.engine import load_engine
from llmvitals.store.influx.lines import line
from llmvitals.store.points import placed
from llmvitals.window import MINUTE
from panes import PANE, vitals

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "docker" / "grafana"
BOARD = json.loads((GRAFANA / "dashboards" / "llmvitals.json").read_text())
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}


def points(now: int) -> list[Point]:
    """Two windows of every default view and the heaviest, every field of each; and a budget."""
    found = []
    for start in (now - 3 * MINUTE, now - 2 * MINUTE):
        for view in DEFAULT_VIEWS:
            tags = {"view": view.name, "window": "1m"} | dict.fromkeys(view.by, "x")
            found.append(point(CALLS, start, tags, calls=50, errors=5))
            if view.contributors:
                found.append(point(TOP, start, tags | {"kind": "user", "rank": "1"}))
    return [*found, *budgets(now - 2 * MINUTE)]


def budgets(at: int) -> list[Point]:
    """What the starter rules say of a team that spent a dollar then."""
    engine, pane = load_engine(ROOT / "alerts", PANE), at // PANE
    said = engine.advance("team", ("x",), {}, floor=pane + 6, closed=[(pane, vitals(cost=1))])
    return panes.points(said)


def point(measurement: str, start: int, tags: dict[str, str], **counts: int) -> Point:
    """All fields of a measurement, measures 0.25 and counts 1 unless told."""
    return Point(
        measurement=measurement,
        start=start - start % MINUTE,
        tags=tags,
        counts=dict.fromkeys(COUNTS[measurement], 1) | counts,
        measures=dict.fromkeys(MEASURES[measurement], 0.25),
        texts=dict.fromkeys(TEXTS[measurement], "ada"),
    )


@pytest.fixture
def shown(influx):
    """Title of a panel → the values that it shows."""
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        with client.write_api(write_options=SYNCHRONOUS) as writer:
            lines = [line(placed(point)) for point in points(time.time_ns() // 1_000)]
            writer.write(influx.bucket, influx.org, b"\n".join(lines))

        def ask(title: str) -> list[dict[str, object]]:
            (target,) = PANELS[title]["targets"]
            v = f'{{defaultBucket: "{influx.bucket}", timeRangeStart: -1h, timeRangeStop: now()}}'
            query = f"option v = {v}\n" + target["query"].replace("${window}", "1m")
            return [record.values for table in client.query_api().query(query) for record in table.records]

        yield ask


@pytest.mark.influx
def test_every_panel_shows_something(shown):
    assert {title for title in PANELS if not shown(title)} == set()


def test_a_budgets_bar_is_its_share():
    (point,) = budgets(1_748_783_460_000_000)
    assert point.tags == {"view": "team", "window": "month", "rule": "TeamMonthlyBudget", "team": "x"}
    assert point.measures["share"] == 1 / 12_000


@pytest.mark.influx
def test_numbers_at_the_top_are_sums_over_the_chosen_time(shown):
    assert [row["_value"] for row in shown("Calls")] == [100]
    assert [row["_value"] for row in shown("Cost")] == [0.5]
    assert [row["_value"] for row in shown("Failed")] == [0.1]


@pytest.mark.influx
def test_the_heaviest_are_added_up_by_name(shown):
    assert [(r["kind"], r["name"], r["cost_usd"]) for r in shown("Who spends most")] == [("user", "ada", 0.5)]


def test_panels_name_only_what_is_written():
    known = {*COUNTS[CALLS], *MEASURES[CALLS], *MEASURES[TOP], *TEXTS[TOP], *MEASURES[BUDGET]}
    asked = {
        part.split('"')[1]
        for panel in BOARD["panels"]
        for target in panel["targets"]
        for part in target["query"].split("r._field == ")[1:]
    }
    assert asked <= known


def test_the_dashboard_reads_the_data_source_that_is_provisioned():
    file = GRAFANA / "provisioning" / "datasources" / "influxdb.yaml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} == {source["uid"]}

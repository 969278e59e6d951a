"""`llmvitals query`: the same answer from SQLite and from InfluxDB, and errors that say what to write."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmvitals.cli.tables.data import grid
from llmvitals.errors import ConfigError, SinkError
from llmvitals.record.point import Point
from llmvitals.settings import Settings, ViewSetting
from llmvitals.store.influx.flux import script
from llmvitals.store.influx.flux import text as literal
from llmvitals.store.query import Table, query, render
from llmvitals.store.question import STORED, Question, Request
from llmvitals.store.registry import SeveralStores, store_sink
from llmvitals.store.series import tag
from store_points import HOUR, INJECTIONS, NOW, START, point, records

Ask = Callable[..., Awaitable[Table]]
Fill = Callable[[Sequence[Point]], Awaitable[Ask]]

H0, H1, H2 = "2026-05-28T18:00:00Z", "2026-05-28T19:00:00Z", "2026-05-28T20:00:00Z"


@pytest.fixture(params=["sqlite", pytest.param("influx", marks=pytest.mark.influx)])
async def fill(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fill]:
    """Writes points into a fresh store; gives what asks it."""
    if request.param == "sqlite":
        settings = Settings(sqlite=tmp_path / "vitals.sqlite")
    else:
        there = request.getfixturevalue("influx")
        settings = Settings(
            influx_url=there.url, influx_token=there.token, influx_org=there.org, influx_bucket=there.bucket
        )
    opened: list[SeveralStores] = []

    async def fill(points: Sequence[Point]) -> Ask:
        writer = store_sink(settings)
        assert writer is not None
        opened.append(writer)
        await writer.start()
        await writer.take(0, records(points))
        return lambda metric, *by, **more: query(settings, Question(metric, by, **more), clock=lambda: NOW)

    yield fill
    for writer in opened:
        await writer.stop()


def hours() -> list[Point]:
    """Three hours of two teams, and what must not be in the answer: other views, windows and times."""
    made = [
        point(
            team=team,
            start=START - ago * HOUR,
            counts={
                "calls": calls,
                "errors": 1,
                "input_tokens": 100,
                "output_tokens": 20,
                "cost_nano": 2**53 + 1,
            },
            measures={"cost_usd": calls / 4} | ({"latency_ms_p95": 800.5} if ago else {}),
        )
        for team, calls, ago in [
            ("search", 4, 0),
            ("ads", 2, 0),
            ("search", 8, 1),
            ("ads", 0, 2),
            ("old", 1, 30),
        ]
    ]
    return [*made, point(view="app", app="site"), point(window="1d"), point(measurement="llm_other")]


async def test_cost_by_team(fill: Fill) -> None:
    ask = await fill(hours())
    assert await ask("cost", "team") == Table(
        ("time", "team", "cost"),
        ((H0, "ads", 0.0), (H1, "search", 2.0), (H2, "ads", 0.5), (H2, "search", 1.0)),
    )


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("cost_usd", [0.0, 2.0, 0.5, 1.0]),
        ("calls", [0, 8, 2, 4]),
        ("errors", [1, 1, 1, 1]),
        ("error_share", [None, 0.125, 0.5, 0.25]),
        ("tokens", [120] * 4),
        ("input_tokens", [100] * 4),
        ("output_tokens", [20] * 4),
        ("cost_nano", [2**53 + 1] * 4),
        ("latency_p95", [800.5, 800.5]),
        ("latency_ms_p95", [800.5, 800.5]),
        ("ttft_p50", []),
        ("late_calls", []),
    ],
)
async def test_every_metric(fill: Fill, metric: str, values: list[Any]) -> None:
    answer = await (await fill(hours()))(metric, "team")
    assert [row[-1] for row in answer.rows] == values
    assert {type(row[-1]) for row in answer.rows} <= {type(value) for value in values}
    assert answer.columns[-1] == metric


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("unmetered_calls", [3]),
        ("estimated_cost_low", [0.5]),
        ("estimated_cost_high", [2.0]),
        ("outcomes", [2]),
        ("cost_per_outcome", [None, 1.5]),
    ],
)
async def test_estimates_and_outcomes(fill: Fill, metric: str, values: list[Any]) -> None:
    counts = {
        "calls": 9, "cost_nano": 3 * 10**9, "unmetered_calls": 3, "estimated_calls": 2,
        "estimated_low_nano": 5 * 10**8, "estimated_high_nano": 2 * 10**9, "outcomes": 2,
    }  # fmt: skip
    without = point(start=START - HOUR, counts={"calls": 4, "cost_nano": 7})
    ask = await fill([point(counts=counts), without])
    assert [row[-1] for row in (await ask(metric, "team")).rows] == values


def statistics() -> list[Point]:
    """A point of every measurement of detection, and what must not be in an answer."""
    rule = {"view": "drift:app", "window": "1m", "app": "chat"}
    canary = {"view": "canary:app/prompt_version", "window": "1h", "app": "chat", "rule": "Better"}
    arms = {**canary, "arm": "v8", "control": "v7"}
    return [
        point(
            measurement="llm_toxicity",
            counts={"scored_calls": 4, "toxic_calls": 1, "unscored_calls": 2},
            measures={"toxicity_mean": 0.25, "toxicity_share": 0.25, "toxicity_p95": 0.9},
        ),
        *(
            point(
                measurement="llm_scores",
                score=name,
                counts={"scores": 4},
                measures={"score_mean": mean, "score_deviation": 0.125},
            )
            for name, mean in (("helpful", 0.5), ("mood_mean", -0.5))
        ),
        *(
            point(
                measurement="llm_drift",
                tags={**rule, "rule": name},
                counts={"calls": 30, "reference_calls": 4_000},
                measures={"statistic": value, "threshold": 1.0},
                texts={"model": "e5"},
            )
            for name, value in (("TopicDrift", 1.5), ("Other", 0.25))
        ),
        *(
            point(
                measurement="llm_canary",
                tags={**arms, "metric": metric},
                counts={"arm_calls": 30, "control_calls": 300},
                measures={"log10_e": 2.5, "effect": effect, "effect_low": 1.25},
            )
            for metric, effect in (("error_share", 2.0), ("latency_p95", 1.0))
        ),
    ]


@pytest.mark.parametrize(
    ("metric", "where", "rows"),
    [
        ("scored_calls", {}, [("search", 4)]),
        ("unscored_calls", {}, [("search", 2)]),
        ("toxicity_p95", {}, [("search", 0.9)]),
        ("toxicity_p50", {}, []),
        ("score.helpful_mean", {}, [("search", 0.5)]),
        ("score.mood_mean_mean", {"team": "search"}, [("search", -0.5)]),
        ("score.helpful_deviation", {}, [("search", 0.125)]),
        ("score.helpful_count", {}, [("search", 4)]),
        ("score.other_mean", {}, []),
        ("score.helpful_mean", {"team": "ads"}, []),
    ],
)
async def test_toxicity_and_scores(fill: Fill, metric: str, where: dict[str, str], rows: list[Any]) -> None:
    answer = await (await fill([*hours(), *statistics()]))(metric, "team", where=where)
    assert answer.columns == ("time", "team", metric)
    assert [row[1:] for row in answer.rows] == rows


async def test_a_score_is_asked_for_with_what_of_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"write score\.NAME_mean, or its _deviation or _count"):
        await query(Settings(sqlite=tmp_path / "none"), Question("score.helpful"), clock=lambda: NOW)


async def test_what_drift_and_canaries_say_is_asked_for_by_rule(fill: Fill) -> None:
    ask = await fill([*hours(), *statistics()])
    assert await ask("drift_statistic", where={"rule": "TopicDrift"}) == Table(
        ("time", "app", "rule", "drift_statistic"), ((H2, "chat", "TopicDrift", 1.5),)
    )
    assert [row[-2:] for row in (await ask("drift_reference_calls", "app")).rows] == [
        ("Other", 4_000),
        ("TopicDrift", 4_000),
    ]
    assert await ask("canary_effect", "metric") == Table(
        ("time", "metric", "app", "arm", "control", "rule", "canary_effect"),
        (
            (H2, "error_share", "chat", "v8", "v7", "Better", 2.0),
            (H2, "latency_p95", "chat", "v8", "v7", "Better", 1.0),
        ),
    )
    assert (await ask("canary_effect", where={"arm": "v9"})).rows == ()


async def test_what_was_written_before_is_overwritten_by_what_is_newer(fill: Fill) -> None:
    newer = [
        msgspec.structs.replace(each, upto=2, measures=dict.fromkeys(each.measures, 7.0))
        for each in statistics()
    ]
    ask = await fill([*newer, *statistics()])
    for metric in ("toxicity_p95", "score.helpful_mean"):
        assert [row[-1] for row in (await ask(metric, "team")).rows] == [7.0]
    for metric in ("drift_statistic", "canary_effect"):
        assert [row[-1] for row in (await ask(metric)).rows] == [7.0, 7.0]


async def test_since_until_and_where(fill: Fill) -> None:
    ask = await fill(hours())
    assert [row[0] for row in (await ask("calls", "team", since="1h")).rows] == [H1, H2, H2]
    assert [row[0] for row in (await ask("calls", "team", since="24h", until=H2)).rows] == [H0, H1]
    assert [row[0] for row in (await ask("calls", "team", since="2026-05-28T19:30")).rows] == [H1, H2, H2]
    found = await ask("calls", "team", where={"team": "search"})
    assert found.rows == ((H1, "search", 8), (H2, "search", 4))
    assert (await ask("calls", "team", where={"team": "nobody"})).rows == ()


async def test_the_day_that_now_lies_in_belongs_to_the_last_hour(fill: Fill) -> None:
    midnight = START // (24 * HOUR) * 24 * HOUR
    ask = await fill([point(window="1d", start=midnight)])
    assert (await ask("calls", "team", window="1d", since="1h")).rows == (
        ("2026-05-28T00:00:00Z", "search", 4),
    )


async def test_the_view_is_found_by_its_dimensions_and_shown_in_the_order_asked(fill: Fill) -> None:
    tags = {"view": "app_model", "window": "1h", "app": "site", "model": "gpt"}
    whole = {"view": "all", "window": "1h"}
    ask = await fill([point(tags=tags), point(tags=whole, counts={"calls": 7})])
    assert await ask("calls", "model", "app") == Table(
        ("time", "model", "app", "calls"), ((H2, "gpt", "site", 4),)
    )
    assert await ask("calls") == Table(("time", "calls"), ((H2, 7),))
    assert await ask("calls", view="app_model") == Table(
        ("time", "app", "model", "calls"), ((H2, "site", "gpt", 4),)
    )


async def test_a_view_of_a_rule_is_not_known_by_the_settings_but_by_its_points(fill: Fill) -> None:
    ask = await fill([point(tags={"view": "rule", "window": "1h", "tags.plan": "gold", "team": "x"})])
    assert await ask("calls", "team", view="rule") == Table(
        ("time", "team", "tags.plan", "calls"), ((H2, "x", "gold", 4),)
    )
    assert (await ask("calls", "team", view="rule", where={"tags.plan": "tin"})).rows == ()


async def test_every_hostile_tag_comes_back_and_can_be_asked_for(fill: Fill) -> None:
    evil = [
        text
        for text in [*INJECTIONS, '${r.view}"', '") |> drop()', "' OR 1=1 --", "é\u00df漢"]
        if text != "\ud800"
    ]
    ask = await fill([point(team=text, counts={"calls": n}) for n, text in enumerate(evil)])
    assert {row[1]: row[2] for row in (await ask("calls", "team")).rows} == {
        tag(text): n for n, text in enumerate(evil)
    }
    for n, text in enumerate(evil):
        assert (await ask("calls", "team", where={"team": text})).rows == ((H2, tag(text), n),)


async def test_a_stale_state_in_a_later_batch_changes_neither_store(fill: Fill) -> None:
    await fill([point(counts={"calls": 9}, upto=9)])
    ask = await fill([point(counts={"calls": 9}, upto=9), point(counts={"calls": 5}, upto=5)])
    assert (await ask("calls", "team")).rows == ((H2, "search", 9),)


async def test_of_two_states_at_the_same_pane_the_later_one_stays(fill: Fill) -> None:
    await fill([point(counts={"calls": 1}, upto=7)])
    ask = await fill([point(counts={"calls": 2}, upto=7)])
    assert (await ask("calls", "team")).rows == ((H2, "search", 2),)


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (Question("costs"), "'costs' is no metric: did you mean cost"),
        (Question("latency_p96"), "did you mean .*latency_p95"),
        (Question("zzz"), "there are calls, errors"),
        (Question("cost", ("team",), window="2h"), "'2h' is no window"),
        (
            Question("cost", ("team", "model")),
            r"No view is split by just team, model. There are: all \(by nothing\), team",
        ),
        (Question("cost", ("model",), view="team"), "view team is not split by model, but by team"),
        (Question("cost", ("team",), where={"model": "x"}), "view team has no model; it is split by team"),
        (Question("cost", where={"model": "x"}), "not split at all"),
        (Question("cost", since="yesterday"), "'yesterday' is no time: write how long ago, such as 24h"),
        (Question("cost", since="1h", until="2h"), "since lies after until"),
        (Question("cost"), "No store is set"),
    ],
)
async def test_a_wrong_question_says_what_to_write(question: Question, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        await query(Settings(), question, clock=lambda: NOW)


async def test_views_of_the_settings_can_be_asked_for(tmp_path: Path) -> None:
    mine = ViewSetting(name="gold", by=("tenant",), where={"tags.plan": "gold"})
    plain = ViewSetting(name="tenants", by=("tenant",))
    settings = Settings(sqlite=tmp_path / "s", views=(mine, plain))
    writer = store_sink(settings)
    assert writer is not None
    made = [point(tags={"view": name, "window": "1h", "tenant": name}) for name in ("gold", "tenants")]
    await writer.take(0, records(made))
    await writer.stop()
    for question, found in [
        (Question("calls", ("tenant",)), "tenants"),
        (Question("calls", ("tenant",), view="gold"), "gold"),
    ]:
        assert (await query(settings, question, clock=lambda: NOW)).rows == ((H2, found, 4),)


async def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    for settings, why in [
        (Settings(sqlite=tmp_path / "none"), "not there yet"),
        (Settings(influx_url="http://127.0.0.1:1"), "can't be reached"),
    ]:
        with pytest.raises(SinkError, match=why):
            await query(settings, Question("cost", ("team",)), clock=lambda: NOW)


@pytest.mark.influx
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"influx_token": "a:b"}, "LLMVITALS_INFLUX_TOKEN"),
        ({"influx_bucket": "no/thing"}, "no database"),
    ],
)
async def test_the_real_influxdb_and_a_wrong_setting(influx: Any, wrong: dict[str, str], why: str) -> None:
    there = {"influx_token": influx.token, "influx_org": influx.org, "influx_bucket": influx.bucket}
    settings = Settings(influx_url=influx.url, **there | wrong)
    with pytest.raises(SinkError, match=why):
        await query(settings, Question("cost", ("team",)), clock=lambda: NOW)


def test_a_flux_text_can_not_end_its_quotes_nor_start_an_expression() -> None:
    assert literal("llm/autogen") == '"llm/autogen"'
    assert literal('"${a}\\\n') == r'"\x22\x24\x7ba\x7d\x5c\x0a"'
    request = Request("team", "1h", START, NOW * 1_000_000, ("calls",), {"team": '") |> drop()'})
    assert script("db/rp", request) == (
        'from(bucket: "db/rp")'
        " |> range(start: 2026-05-28T20:00:00.000000Z, stop: 2026-05-28T20:26:40.000000Z)"
        ' |> filter(fn: (r) => r._measurement == "llm_calls" and r["view"] == "team" and r["window"] == "1h"'
        r' and r["team"] == "\x22\x29 \x7c\x3e drop\x28\x29" and (r._field == "calls"))'
    )


TABLE = Table(("time", "team", "cost"), ((H1, "a,[b]", 1234.5678912), (H2, "漢", None)))


def test_rendered_for_eyes() -> None:
    assert grid(TABLE) == (
        "time                  team      cost\n"
        "2026-05-28T19:00:00Z  a,[b]  1,234.57\n"
        "2026-05-28T20:00:00Z  漢           –\n"
    ).replace("team      cost", "team       cost").replace("漢           –", "漢            –")
    assert grid(Table(("time", "calls"), ())) == (
        "Nothing there: no points of this view and window in this time.\n"
    )
    assert "12,345" in grid(Table(("time", "calls"), ((H1, 12_345),)))


def test_rendered_for_programs() -> None:
    assert json.loads(render(TABLE, "json")) == [
        {"time": H1, "team": "a,[b]", "cost": 1234.5678912},
        {"time": H2, "team": "漢", "cost": None},
    ]
    assert list(csv.reader(io.StringIO(render(TABLE, "csv")))) == [
        ["time", "team", "cost"],
        [H1, "a,[b]", "1234.5678912"],
        [H2, "漢", ""],
    ]


def test_the_names_that_rules_use_are_metrics_here_too() -> None:
    assert STORED.keys() >= {
        "cost", "calls", "errors", "error_share", "tokens", "input_tokens", "output_tokens", "late_share",
        "latency_p50", "latency_p95", "latency_mean", "latency_max", "ttft_p99", "cost_per_call_p95",
        "output_tokens_per_s_p50", "cache_hit_share", "unpriced_share", "toxicity_mean",
    }  # fmt: skip


async def test_a_view_that_is_not_stored_is_not_advised() -> None:
    with pytest.raises(ConfigError) as told:
        await query(Settings(), Question("cost", ("team", "model")), clock=lambda: NOW)
    assert "Ask for one of these, or add one to `views` in the settings." in str(told.value)
    assert "--view" not in str(told.value)

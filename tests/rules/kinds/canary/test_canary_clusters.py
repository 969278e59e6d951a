"""A canary whose calls depend on each other: quiet, and it says what it counts and what it could see."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from arms import FIRST, MINUTE, Minute, Walk, anywhere, arm, failing, rollout, rule_engine
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Topic
from llmvitals.record.vitals import Vitals
from llmvitals.settings import Settings
from llmvitals.sketch.cells import CELLS
from llmvitals.stats import clusters

RULE = "{on: prompt_version, by: [], metrics: errors, effect: 10%}"


def bursts(dice: np.random.Generator, calls: int, share: float) -> Vitals:
    """A minute of an arm in which sessions fail, each with 20 calls at once."""
    failed = 20 * int(dice.poisson(calls * share / 20))
    number = failed + int(dice.poisson(calls * (1 - share)))
    cells = anywhere(number, int(dice.integers(2**31)))
    cells[:failed] = np.repeat(dice.integers(CELLS, size=failed // 20), 20)
    return arm(number, errors=failed, cells=cells, by="session")


def bursty(seed: int, *, canary: float = 0.02, minutes: int = 480) -> list[Minute]:
    """v1 with 100 calls a minute, and from a minute on v2 with 10; 2 % fail, in bursts."""
    dice = np.random.default_rng(seed)
    return [
        (at, {"v1": bursts(dice, 100, 0.02)} | ({"v2": bursts(dice, 10, canary)} if at >= 10 else {}))
        for at in range(minutes)
    ]


def independent(patch: pytest.MonkeyPatch) -> None:
    """As if all calls were."""
    noise = clusters.noise

    def none(*given: Any) -> clusters.Noise:
        found = noise(*given)
        return found._replace(clustered=0 * found.clustered, phi=0 * found.phi + 1)

    patch.setattr(clusters, "noise", none)


def test_sessions_that_fail_are_not_so_many_failures(tmp_path, monkeypatch):
    seeds = range(4)
    for seed in seeds:
        found = Walk(rule_engine(tmp_path, RULE)).go(bursty(seed))
        assert found.alerts == []
        assert found.last("errors").texts == {"cluster": "session"}
        assert found.last("errors").measures["overdispersion"] > 5
    independent(monkeypatch)
    assert any(Walk(rule_engine(tmp_path, RULE)).go(bursty(seed)).alerts for seed in seeds)


def test_a_canary_with_four_times_as_many_bursts_is_found(tmp_path):
    (alert,) = Walk(rule_engine(tmp_path, RULE)).go(bursty(1, canary=0.1, minutes=900)).alerts
    assert "prompt v2 fails " in alert.summary
    assert "; evidence counted by session" in alert.summary


def test_frames_of_an_older_version_are_counted_by_minute(tmp_path):
    minutes = rollout(np.random.default_rng(1), 400, canary=0.1)
    bare = [(at, {name: replace(each, cells=None) for name, each in arms.items()}) for at, arms in minutes]
    (alert,) = Walk(rule_engine(tmp_path, RULE)).go(bare).alerts
    assert "; evidence counted by minute" in alert.summary


def test_money_of_users_who_stay_is_no_difference(tmp_path, monkeypatch):
    """Forty users with prices of their own, four of whom have the canary."""

    def minutes(seed: int) -> list[Minute]:
        dice, found = np.random.default_rng(seed), []
        level, cell = dice.normal(0, 0.7, 40), dice.integers(CELLS, size=40)
        for at in range(400):
            arms = {}
            for name, users, calls in (("v1", range(4, 40), 60), ("v2", range(4), 8)):
                who = dice.choice(users, calls)
                if name == "v1" or at >= 10:
                    dollars = np.exp(level[who] + dice.normal(-4, 1, calls))
                    arms[name] = arm(calls, dollars=dollars, cells=cell[who])
            found.append((at, arms))
        return found

    rule = "{on: prompt_version, by: [], metrics: cost}"
    for seed in range(3):
        found = Walk(rule_engine(tmp_path, rule)).go(minutes(seed))
        assert found.alerts == []
        assert found.last("cost").texts == {"cluster": "user"}
    independent(monkeypatch)
    assert any(Walk(rule_engine(tmp_path, rule)).go(minutes(seed)).alerts for seed in range(3))


def test_points_say_what_could_be_seen_and_more_calls_see_more(tmp_path):
    def seen(calls: float) -> tuple[float, float]:
        dice, minutes = np.random.default_rng(3), []
        for at in range(300):
            arms = {"v1": failing(dice, 9 * calls, 0.02), "v2": failing(dice, calls if at >= 60 else 0, 0.02)}
            minutes.append((at, {name: each for name, each in arms.items() if each.total("calls")}))
        measures = Walk(rule_engine(tmp_path, RULE)).go(minutes).last("errors").measures
        return measures["visible_day"], measures["visible_week"]

    few, many = seen(1.4), seen(14)
    assert 1.1 < few[1] < few[0]
    assert 1.1 < many[1] < many[0] < few[0]
    # By the formula of stats.eprocess for 20,000 calls a day, 10 % of them the canary's, at φ = 1.
    assert 1.3 < few[0] < 2.2


def test_a_comparison_of_an_older_version_begins_anew_and_says_so(tmp_path):
    minutes = rollout(np.random.default_rng(1), 700, canary=0.1)
    walk = Walk(rule_engine(tmp_path, RULE)).go(minutes[:300])
    assert walk.alerts
    pair = walk.state["rules"]["A"]["seen"]["pair"]
    del pair["recent"]
    pair["open"] = {"cells": [[b"", b""], [b"", b""]], "sums": [[0] * 20, [0] * 20]}
    walk.go(minutes[300:])
    first, ended, again = walk.alerts
    assert (ended.status, ended.episode) == ("resolved", first.episode)
    assert "v2 is compared anew" in ended.reason
    assert again.status == "firing"
    assert again.episode != first.episode


def test_from_calls_to_the_alert_the_cluster_is_the_session(tmp_path: Path) -> None:
    text = f"groups:\n- name: g\n  rules:\n  - alert: A\n    canary: {RULE}\n"
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    pipeline = Pipeline.of(Settings(alerts=tmp_path, default_views=False), 1, ["calls"]).alone({"calls": 1})
    dice, logged = np.random.default_rng(2), []
    for number in range(12_000):
        at = (FIRST * 60 + number // 4) * 1_000
        version = "v2" if number > 1_000 and dice.random() < 0.3 else "v1"
        call = {
            "id": f"c{number}", "ts": at, "model": "m", "prompt_version": version,
            "session": f"s{dice.integers(3_000)}",
            "status": "error" if dice.random() < (0.2 if version == "v2" else 0.02) else "ok",
        }  # fmt: skip
        logged.append(Logged(number, at, msgspec.json.encode(call)))
    said = [*pipeline.feed("calls", 0, logged), *pipeline.end("calls", 0)]
    alerts = [Alert.decode(each.value) for each in said if each.topic is Topic.ALERTS]
    assert "; evidence counted by session" in alerts[0].summary
    assert math.isclose(alerts[0].at % MINUTE, 0)

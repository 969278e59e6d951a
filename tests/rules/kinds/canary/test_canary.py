"""A canary against its control: quiet as promised, found in time, told in words, and over when it is over."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from arms import (
    DAY,
    FIRST,
    MINUTE,
    PANE,
    Minute,
    Walk,
    anywhere,
    arm,
    failing,
    rollout,
    rule_engine,
    seed_of,
)  # fmt: skip
from llmvitals.metrics.columns import CANARY, COUNTS, MEASURES
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine, load_engine
from llmvitals.rules.kinds.canary.detector import EVERY
from llmvitals.rules.kinds.canary.endpoints import METRICS
from llmvitals.rules.kinds.canary.hypotheses import Hypotheses

CANARY_FIELDS = (*COUNTS[CANARY], *MEASURES[CANARY])


def walk(
    folder: Any, minutes: list[Minute], condition: str = "{on: prompt_version, by: []}", **how: Any
) -> Walk:
    return Walk(rule_engine(folder, condition)).go(minutes, **how)


def fired(found: Walk) -> list[tuple[str, int]]:
    """(status, minute whose end it is) of all that was said."""
    return [(alert.status, alert.at // MINUTE - FIRST - 1) for alert in found.alerts]


def bad(minutes: int = 300, seed: int = 1, **how: Any) -> list[Minute]:
    return rollout(np.random.default_rng(seed), minutes, canary=0.08, **how)


def steady(minutes: range, **arms: Vitals) -> list[Minute]:
    return [(at, arms) for at in minutes]


# When it speaks, and what it says


def test_a_backtest_that_has_no_points_computes_none(tmp_path, monkeypatch):
    """Of a canary that is no worse, nothing has to be found but that."""
    asked = []
    findings = Hypotheses.findings
    monkeypatch.setattr(Hypotheses, "findings", lambda *args: asked.append(1) or findings(*args))
    minutes = rollout(np.random.default_rng(1), 300, canary=0.02)
    assert not walk(tmp_path, minutes).alerts
    assert len(asked) >= 300 / EVERY - 30
    asked.clear()
    bare = RuleEngine(rule_engine(tmp_path).rules, PANE, bare=True)
    assert not Walk(bare).go(minutes).alerts
    assert not asked


def test_a_canary_that_fails_more_often_is_told_once_with_numbers_that_are_right(tmp_path):
    found = walk(tmp_path, bad())
    (alert,) = found.alerts
    at = alert.at // MINUTE - FIRST
    totals = {name: [0, 0] for name in ("v1", "v2")}
    for minute, arms in bad():
        if 11 <= minute < at:  # v2 comes in minute 10; it takes part when it has 20 calls, from the next on
            for name, held in arms.items():
                totals[name][0] += held.total("calls")
                totals[name][1] += held.total("errors")
    said = alert.summary
    assert said.startswith("all calls: prompt v2 fails ")
    assert "as often as v1" in said
    begun = int(alert.episode.rsplit("-", 1)[1]) // MINUTE - FIRST
    late = {"v1": [0, 0], "v2": [0, 0]}
    for minute, arms in bad():
        if begun <= minute < at:
            for name, held in arms.items():
                late[name][0] += held.total("calls")
                late[name][1] += held.total("errors")
    for calls, errors in late.values():
        assert f"of {calls:,}" in said
        assert f"{errors / calls * 100:.3g} %" in said
    assert totals["v2"][0] >= late["v2"][0]
    assert (alert.unit, alert.limit) == ("count", 1)
    assert alert.value == pytest.approx(
        late["v2"][1] / late["v2"][0] / (late["v1"][1] / late["v1"][0]), rel=0.1
    )


@pytest.mark.parametrize("seed", range(3))
def test_one_that_is_no_worse_stays_quiet_through_an_outage_of_both(tmp_path, seed):
    dice = np.random.default_rng(seed)
    minutes = []
    for at in range(600):
        share = 0.6 if 200 <= at < 230 else 0.03 * (1 + np.sin(at / 60))
        minutes.append(
            (at, {"v1": failing(dice, 60, share), "v2": failing(dice, 6 if at > 12 else 0, share)})
        )
    assert walk(tmp_path, minutes).alerts == []


def test_a_better_one_is_no_alert_but_it_shows(tmp_path):
    found = walk(tmp_path, rollout(np.random.default_rng(3), 600, control=0.1, canary=0.02))
    assert found.alerts == []
    point = found.last("errors")
    assert point.measures["effect_high"] < 1
    assert point.measures["log10_e"] < 0


def test_points_come_every_five_minutes_with_the_whole_comparison(tmp_path):
    found = walk(tmp_path, bad(100))
    errors = [point for point in found.points if point.tags["metric"] == "errors"]
    assert {point.start // MINUTE % 5 for point in errors if point.start != found.alerts[0].at - MINUTE} == {
        4
    }
    point = errors[-1]
    assert point.measurement == "llm_canary"
    assert {**point.tags, "view": ""} == {
        "view": "", "window": "1m", "rule": "A", "metric": "errors", "arm": "v2", "control": "v1",
    }  # fmt: skip
    assert point.measures["log10_limit"] == pytest.approx(2)  # 1 %
    assert point.measures["effect_low"] < point.measures["effect"] < point.measures["effect_high"]
    assert set(point.counts) == {"arm_calls", "control_calls"}
    # Of what nobody has said anything, nothing is shown.
    assert {point.tags["metric"] for point in found.points} == {"errors", "refusals", "guardrail_blocks"}


def test_it_fires_while_the_comparison_lasts_and_ends_when_the_control_is_gone(tmp_path):
    minutes = bad(200)
    after = [(at, {"v2": failing(np.random.default_rng(at), 100, 0)}) for at in range(200, 200 + DAY + 60)]
    found = walk(tmp_path, minutes + after)
    assert [status for status, _ in fired(found)] == ["firing", "resolved"]
    assert fired(found)[1][1] == 199 + DAY
    assert "v1 gets no more calls: v2 has replaced it" in found.alerts[1].reason


def test_it_ends_when_the_canary_is_taken_back(tmp_path):
    after = [(at, {"v1": failing(np.random.default_rng(at), 9, 0)}) for at in range(200, 200 + DAY + 60)]
    found = walk(tmp_path, bad(200) + after)
    assert fired(found)[1] == ("resolved", 199 + DAY)
    assert found.alerts[1].reason == "v2 gets no more calls"


def test_it_ends_after_a_week_in_which_nobody_calls(tmp_path):
    found = walk(tmp_path, bad(200)).wait(199 + 8 * DAY)
    assert fired(found)[1] == ("resolved", 199 + 7 * DAY)
    assert found.alerts[1].reason == "neither v1 nor v2 gets calls any more"
    assert found.state == {}


def working_day(day: int, dice: np.random.Generator, **shares: float) -> list[Minute]:
    """Ten hours of calls; the chances to fail of v1, with four calls a minute, and of v2, with two."""
    minutes = range(day * DAY, day * DAY + 600)
    many = {"v1": 4, "v2": 2}
    drawn = (
        (at, {name: failing(dice, many[name], share) for name, share in shares.items()}) for at in minutes
    )
    return [(at, {name: arm for name, arm in arms.items() if arm.total("calls")}) for at, arms in drawn]


def test_a_canary_that_began_before_a_free_weekend_is_compared_after_it(tmp_path):
    """On Monday both versions are there from the first minute on, and v2 is still the new one."""
    dice = np.random.default_rng(2)
    friday = working_day(0, dice, v1=0.02) + working_day(1, dice, v1=0.02, v2=0.02)
    found = walk(tmp_path, friday + working_day(4, dice, v1=0.02, v2=0.1))
    assert [status for status, _ in fired(found)] == ["firing"]


def test_an_alert_does_not_end_at_a_free_weekend(tmp_path):
    dice = np.random.default_rng(2)
    friday = working_day(0, dice, v1=0.02) + working_day(1, dice, v1=0.02, v2=0.2)
    found = walk(tmp_path, friday + working_day(4, dice, v1=0.02, v2=0.2))
    assert [status for status, _ in fired(found)] == ["firing"]


def test_a_version_that_comes_on_monday_in_a_small_app_is_a_canary(tmp_path):
    """The calls of last week are before its first one, also if Monday has fewer than 500 by then."""
    dice = np.random.default_rng(2)
    found = walk(tmp_path, working_day(0, dice, v1=0.02) + working_day(3, dice, v1=0.02, v2=0.2))
    assert [status for status, _ in fired(found)] == ["firing"]


@pytest.mark.parametrize("seed", [1, 12, 16])
def test_a_larger_share_of_the_calls_during_an_outage_of_both_is_no_worsening(tmp_path, seed):
    """Its calls were few before the outage, and many in it: together they fail more often than the control's."""
    dice = np.random.default_rng(seed)
    outage = 400 + int(dice.integers(-30, 31))
    minutes = []
    for at in range(520):
        share = 0.5 if outage <= at < outage + 30 else 0.02
        canary = 0 if at < 100 else 0.01 if at < 400 else 0.5
        arms = {"v1": failing(dice, 20 * (1 - canary), share), "v2": failing(dice, 20 * canary, share)}
        minutes.append((at, {name: arm for name, arm in arms.items() if arm.total("calls")}))
    assert walk(tmp_path, minutes, "{on: prompt_version, by: [], metrics: [errors]}").alerts == []


def test_a_newer_canary_takes_its_place_and_is_an_episode_of_its_own(tmp_path):
    dice, minutes = np.random.default_rng(5), bad(400)
    for at, arms in minutes[200:]:
        arms["v3"] = failing(dice, 10, 0.15)
        assert at >= 200
    found = walk(tmp_path, minutes)
    assert [status for status, _ in fired(found)] == ["firing", "resolved", "firing"]
    assert "v3 is newer and replaces it in the comparison" in found.alerts[1].reason
    assert "prompt v3 fails" in found.alerts[2].summary
    assert found.alerts[0].episode == found.alerts[1].episode != found.alerts[2].episode


def test_it_speaks_again_when_another_metric_is_worse_too(tmp_path):
    def minute(at: int, name: str) -> Vitals:
        dice = np.random.default_rng([at, int(name == "v2")])
        calls, dear = (40, 1.0) if name == "v1" else (8, 1.5)
        held = arm(
            calls, dollars=dear * dice.lognormal(-4, 0.3, calls), errors=int(dice.binomial(calls, 0.02))
        )
        if at < 150 or name == "v1":
            return held
        failed = arm(calls, errors=4, cells=anywhere(calls, at))
        return replace(held, sums=failed.sums, cells=failed.cells)

    minutes = [(at, {n: minute(at, n) for n in ("v1", "v2") if n == "v1" or at >= 15}) for at in range(250)]
    found = walk(tmp_path, minutes)
    assert [alert.level for alert in found.alerts] == ["", "2 metrics"]
    first, second = (alert.summary for alert in found.alerts)
    assert "costs 1.5× as much a call as v1" in first
    assert "also worse: errors (" in second
    assert found.alerts[0].episode == found.alerts[1].episode


# Other metrics


def pair(metric: str, worse: bool) -> list[Minute]:
    """Four hours in which one metric of v2 is worse, or none."""
    dice, minutes = np.random.default_rng(7), []
    times = 1.5 if worse else 1.0
    for at in range(240):
        arms = {}
        for name, calls in (("v1", 60), ("v2", 6)):
            much = times if name == "v2" else 1.0
            if metric == "latency":
                arms[name] = arm(calls, ms=much * dice.lognormal(6.9, 0.4, calls))
            elif metric == "cost":
                arms[name] = arm(calls, dollars=much * dice.lognormal(-4, 0.6, calls))
            elif metric == "free calls":
                free = dice.random(calls) < (0.6 if much == 1 else 0.2)
                arms[name] = arm(calls, dollars=np.where(free, 0, 0.01))
            elif metric == "input_tokens":
                arms[name] = arm(calls, tokens=np.rint(much * dice.lognormal(6, 0.6, calls)))
            elif metric == "score":
                arms[name] = arm(calls, scores={"helpful": dice.beta(8, 2, calls) / much})
            elif metric == "profanity":
                arms[name] = arm(calls, scores={"profanity": dice.beta(2, 8, calls) * much})
            else:
                share = min(0.04 * (2 * much if worse and name == "v2" else 1), 1)
                found = int(dice.binomial(calls, share))
                where = anywhere(calls, seed_of(dice))
                arms[name] = arm(calls, **{metric: found, "toxicity_count": calls}, cells=where)
        if at < 12:
            del arms["v2"]
        minutes.append((at, arms))
    return minutes


WORDS = {
    "latency": "takes longer than ",
    "cost": "costs 1.6× as much a call as v1 ($0.0",
    "free calls": "costs money 2",
    "input_tokens": "reads 1.6× as many tokens a call as v1 (",
    "score": "scores 0.5",
    "profanity": "scores 0.3",
    "toxic_calls": "is toxic ",
    "refused_calls": "refuses ",
    "guardrail_blocks": "is blocked by a guardrail ",
}


@pytest.mark.parametrize("metric", WORDS)
def test_each_metric_is_found_where_it_is_worse(tmp_path, metric):
    (alert,) = walk(tmp_path, pair(metric, worse=True)).alerts
    assert f"prompt v2 {WORDS[metric]}" in alert.summary


@pytest.mark.parametrize("metric", WORDS)
def test_and_only_there(tmp_path, metric):
    assert walk(tmp_path, pair(metric, worse=False)).alerts == []


def test_less_profanity_is_no_news_and_more_is_told_as_higher(tmp_path):
    def told(control: float, canary: float) -> list[str]:
        dice, minutes = np.random.default_rng(8), []
        for at in range(240):
            levels = {"v1": (60, control), "v2": (6 if at >= 12 else 0, canary)}
            arms = {
                name: arm(calls, scores={"profanity": dice.beta(2, 8, calls) * level})
                for name, (calls, level) in levels.items()
                if calls
            }
            minutes.append((at, arms))
        return [alert.summary for alert in walk(tmp_path, minutes).alerts]

    assert told(1, 0.5) == []
    (said,) = told(0.5, 1)
    assert re.search(r"v2 scores 0\.\d+ for profanity, v1 0\.\d+ .*; at least 0\.\d+ higher\)", said)


def test_prices_that_are_always_the_same_can_be_compared_too(tmp_path):
    def held(dollars: float) -> Vitals:
        return arm(10, dollars=[dollars] * 10)

    same = steady(range(60), v1=held(0.01)) + steady(range(60, 150), v1=held(0.01), v2=held(0.01))
    assert walk(tmp_path, same).alerts == []
    dear = steady(range(60), v1=held(0.01)) + steady(range(60, 150), v1=held(0.01), v2=held(0.012))
    (alert,) = walk(tmp_path, dear).alerts
    assert "costs 1.2× as much a call as v1 ($0.012 on " in alert.summary
    # 20 calls a minute of both, each 0.2 cents more: 0.04 · 1,440 · 30 dollars a month.
    assert alert.summary.endswith("About $1,730 a month more at full roll-out")


def test_money_is_no_news_where_it_does_not_differ(tmp_path):
    dice, minutes = np.random.default_rng(1), []
    for at in range(200):
        arms = {
            name: arm(calls, dollars=dice.lognormal(-4, 1, calls), errors=int(dice.binomial(calls, share)))
            for name, calls, share in (("v1", 60, 0.02), ("v2", 6 if at > 12 else 0, 0.2))
        }
        minutes.append((at, arms))
    (alert,) = walk(tmp_path, minutes).alerts
    assert alert.summary.endswith(". No difference in cost is detected yet")


def test_an_effect_that_was_allowed_is_no_news(tmp_path):
    minutes = rollout(np.random.default_rng(2), 400, control=0.2, canary=0.26, start=10)
    rich = [
        (at, {n: arm(h.total("calls") * 8, errors=h.total("errors") * 8) for n, h in a.items()})
        for at, a in minutes
    ]
    assert walk(tmp_path, rich).alerts
    assert walk(tmp_path, rich, "{on: prompt_version, by: [], effect: 100%}").alerts == []


def test_only_the_metrics_that_are_asked_for_speak(tmp_path):
    condition = "{on: prompt_version, by: [], metrics: [cost, score.helpful]}"
    found = walk(tmp_path, bad(), condition)
    assert found.alerts == []
    assert walk(tmp_path, pair("score", worse=True), condition).alerts


@pytest.mark.parametrize("metrics", [("cost",), ("errors", "score.helpful"), METRICS])
def test_the_first_metric_has_half_of_alpha_and_all_have_alpha(metrics):
    alphas = [Hypotheses(metrics, 0.1, 0.01).alpha_of(metric) for metric in metrics]
    assert sum(alphas) == pytest.approx(0.01)
    assert alphas[0] == 0.01 if len(metrics) == 1 else alphas[0] == 0.005
    assert len(set(alphas[1:])) <= 1


# Who is compared


def test_values_that_are_there_from_the_beginning_are_not_compared(tmp_path):
    minutes = [(at, {"v1": arm(10), "v2": arm(10, errors=9)}) for at in range(300)]
    found = walk(tmp_path, minutes)
    assert (found.alerts, found.points) == ([], [])


def test_values_that_are_too_many_to_be_kept_are_not_new_when_they_come_again(tmp_path):
    dice = np.random.default_rng(3)
    minutes = []
    for at in range(200):
        calls = dice.multinomial(120, [0.01] * 100)
        minutes.append((at, {f"m{place}": arm(int(many)) for place, many in enumerate(calls) if many}))
    assert walk(tmp_path, minutes, "{on: model, by: []}").points == []


def test_unless_they_are_named(tmp_path):
    minutes = [(at, {"v1": arm(10), "v2": arm(10, errors=9)}) for at in range(60)]
    (alert,) = walk(tmp_path, minutes, "{on: prompt_version, by: [], canary: v2, control: v1}").alerts
    assert "prompt v2 fails more often than v1 (90 % of " in alert.summary
    assert "calls against none of " in alert.summary
    assert walk(tmp_path, minutes, "{on: prompt_version, by: [], canary: v1, control: v2}").alerts == []
    assert walk(tmp_path, minutes, "{on: prompt_version, by: [], canary: v3, control: v2}").points == []


@pytest.mark.parametrize("calls", [1, 3])
def test_what_hardly_anybody_calls_is_no_canary(tmp_path, calls):
    """1 % of all calls are two a minute."""
    minutes = [(at, {"v1": arm(200), "v2": arm(calls if at >= 10 else 0, errors=calls)}) for at in range(90)]
    assert bool(walk(tmp_path, minutes).alerts) == (calls == 3)


def test_with_three_calls_an_hour_it_is_compared_once_there_are_twenty(tmp_path):
    minutes = [(at, {"v1": arm(5)}) for at in range(110)]
    minutes += [
        (at, {"v1": arm(1)} | ({"v2": arm(1, errors=1)} if at % 20 == 0 else {}))
        for at in range(110, 110 + 8 * 60, 5)
    ]
    found = walk(tmp_path, minutes)
    pair = found.state["rules"]["A"]["seen"]["pair"]
    assert (pair["canary"], pair["control"]) == ("v2", "v1")
    assert pair["since"] - FIRST == 120 + 19 * 20 + 1


def test_calls_without_a_version_are_no_arm(tmp_path):
    minutes = [
        (at, {"unknown": arm(50), "v1": arm(9, errors=8)} if at > 20 else {"unknown": arm(50)})
        for at in range(99)
    ]
    assert walk(tmp_path, minutes).points == []


def test_a_third_arm_takes_no_part(tmp_path):
    old = [(at, {**arms, "v0": arm(20, errors=15)}) for at, arms in bad(200)]
    found = walk(tmp_path, old)
    assert {(point.tags["arm"], point.tags["control"]) for point in found.points} == {("v2", "v1")}
    assert [point.measures for point in found.points] == [
        point.measures for point in walk(tmp_path, bad(200)).points
    ]


def test_an_arm_that_stays_away_for_hours_is_neither_here_nor_there(tmp_path):
    """An outage that only the control has seen is no part of the comparison, nor of what the message says."""
    dice = np.random.default_rng(4)
    whole = [
        (at, {"v1": failing(dice, 100, 0.02)} | ({"v2": failing(dice, 20, 0.04)} if at >= 10 else {}))
        for at in range(200)
    ]
    gone = [(at if at < 25 else at + 500, arms) for at, arms in whole]
    alone = [(at, {"v1": arm(100, errors=90)}) for at in range(25, 525)]
    found = walk(tmp_path, sorted(gone + alone, key=lambda minute: minute[0]))
    (status, later), *_ = fired(found)
    assert status == "firing"
    assert 525 <= later < 545
    compared = [arms["v1"] for at, arms in gone if 11 <= at <= later]
    calls, errors = (sum(each.total(name) for each in compared) for name in ("calls", "errors"))
    assert f"against {errors / calls * 100:.3g} % of {calls:,}" in found.alerts[0].summary


# However it is fed


@pytest.mark.parametrize("seed", range(3))
def test_batches_and_restarts_change_nothing(tmp_path, seed):
    dice, minutes = Random(seed), bad(250, seed)
    for at, arms in minutes[120:]:
        arms["v3"] = failing(np.random.default_rng(at), 9, 0.2)
    minutes = [(at + (2_000 if at > 220 else 0), arms) for at, arms in minutes if dice.random() < 0.8]
    rules = rule_engine(tmp_path)
    straight = Walk(rules).go(minutes, lambda: 10**9).wait(13_000)
    cut = Walk(rules)
    cut.saved = True
    cut.go(minutes, lambda: dice.randint(1, 30)).wait(13_000)
    assert cut.alerts == straight.alerts
    assert cut.points == straight.points
    assert len(straight.alerts) >= 3
    assert cut.state == straight.state == {}


def test_a_state_is_some_kilobytes(tmp_path):
    import msgspec  # noqa: PLC0415

    found = walk(
        tmp_path,
        [*pair("latency", worse=True), *((at + 240, arms) for at, arms in pair("score", worse=True))],
    )
    assert len(msgspec.msgpack.encode(found.state)) < 110_000


# What the page says

PAGE = (Path(__file__).parents[4] / "docs" / "canary.md").read_text(encoding="utf-8")


def test_the_rules_of_the_page_load_and_its_metrics_are_all(tmp_path):
    (rules,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    loaded = load_engine(tmp_path, PANE).rules.rules
    assert [rule.name for rule in loaded] == ["PromptCanary", "NewModel"]
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| metric |")[2].partition("\n\n")[0]))
    assert named == set(METRICS)
    for field in CANARY_FIELDS:
        assert f"`{field}`" in PAGE


def test_it_splits_by_the_prompt_where_nothing_else_is_said(tmp_path):
    rules = rule_engine(tmp_path, "{on: prompt_version}").rules
    assert rules.rules[0].condition.by == ("app", "prompt_name")
    assert [(view.by, view.split, view.stored) for view in rules.views] == [
        (("app", "prompt_name", "prompt_version"), True, False)
    ]
    assert rule_engine(tmp_path, "{on: tags.app_version}").rules.rules[0].condition.by == ("app",)

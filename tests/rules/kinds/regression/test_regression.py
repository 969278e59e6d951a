"""A metric against the same hours of past weeks: exact against oracles, promises kept, and what is said."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import stats

from llmvitals.metrics.registry import COMPARABLE, METRICS, metric_of
from llmvitals.record.vitals import Vitals, merged
from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds.regression import hours
from llmvitals.rules.kinds.regression.gauges import gauge_of
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.sketch import counters
from llmvitals.stats import counts as counts_of_calls
from llmvitals.stats import normaliser, shiryaev
from panes import PANE, SECOND, rule_engine, vitals, walk

DAY, WEEK = 1_440, 10_080
"""Minutes."""
FIRST = 1_780_272_000 // 60
"""A minute; Monday, 00:00 UTC."""
PAGE = (Path(__file__).parents[4] / "docs" / "regression.md").read_text(encoding="utf-8")


def rhythm(length: int, most: float = 18) -> np.ndarray:
    """Calls a minute: by day and night, fewer at the weekend."""
    minute = np.arange(length)
    daily = 1 + 0.8 * np.sin((minute / 60 % 24 - 9) / 24 * 2 * np.pi)
    return most / 1.8 * daily * np.where(minute // DAY % 7 >= 5, 0.4, 1)


def counts(rng: np.random.Generator, share: np.ndarray, most: float = 18) -> tuple[np.ndarray, np.ndarray]:
    """Calls and bad calls of each minute."""
    calls = rng.poisson(rhythm(len(share), most))
    return calls, rng.binomial(calls, np.minimum(share, 1))


def restless(rng: np.random.Generator, length: int, spread: float) -> np.ndarray:
    """A factor of each minute, the same within an hour: gamma with mean 1."""
    return np.repeat(rng.gamma(1 / spread**2, spread**2, length // 60 + 1), 60)[:length]


def errors(calls: int, bad: int) -> Vitals:
    sums = {"calls": int(calls), "errors": int(bad)}
    return Vitals(tuple(sums.get(name, 0) for name in counters.SUMS))


def readings(rule: Regression, minutes: dict[int, Vitals], state: dict | None = None) -> list:
    """Those that say something: breaches, and what ends them."""
    detector, state = rule.detector(60 * SECOND, ()), {} if state is None else state
    found = [each for at in sorted(minutes) for each in detector.take(state, FIRST + at, minutes[at])]
    return [each for each in found if each.verdict == "breach" or each.note]


def of(calls: np.ndarray, bad: np.ndarray) -> dict[int, Vitals]:
    return {at: errors(calls[at], bad[at]) for at in np.flatnonzero(calls).tolist()}


def late(reading, change: int) -> float:
    """Hours from the change to the reading."""
    return (reading.at / SECOND / 60 - FIRST - change) / 60


def test_the_recursion_is_that_of_shiryaev_and_roberts():
    rng = np.random.default_rng(1)
    e = np.exp(rng.normal(-0.1, 0.5, (60, 3)))
    state: dict = {}
    for minute in e:
        shiryaev.step(state, np.log(minute).tolist())
    brute = np.mean([[e[since:, kind].prod() for since in range(60)] for kind in range(3)], axis=0).sum()
    assert math.exp(shiryaev.level(state)) == pytest.approx(brute)


def test_evidence_is_the_likelihood_ratio_of_negative_binomials():
    logs = counts_of_calls.log_ratios(9, 4.0).reshape(len(counts_of_calls.RATIOS), -1)
    falls = counts_of_calls.log_ratios(2, 4.0, fall=True).reshape(logs.shape)
    for row, ratio in enumerate(counts_of_calls.RATIOS):
        for column, noise in enumerate(counts_of_calls.NOISES):

            def log(count: int, mean: float, size: float = 1 / noise) -> float:
                return stats.nbinom.logpmf(count, size, size / (size + mean))

            assert logs[row, column] == pytest.approx(log(9, 4 * ratio) - log(9, 4))
            assert falls[row, column] == pytest.approx(log(2, 4 / ratio) - log(2, 4))


def test_a_short_span_says_no_more_than_chance_could_bring():
    for expected in (0.1, 0.36, 2.0, 7.5, 11.9):
        most = counts_of_calls.highest(expected)
        assert most == max(stats.poisson.isf(1e-3, expected) + 1, 2 * expected)
    assert counts_of_calls.highest(1_000) == 2_000
    assert counts_of_calls.lowest(1_000) == 500


def test_storms_at_the_learned_rate_are_no_news_and_no_block_alarms_alone():
    """The mean e-value of heavy-tailed blocks is about 1, however large their likelihood ratios are."""
    rng = np.random.default_rng(3)
    state: dict = {}
    worth = []
    for block in range(24 * 60):
        storm = rng.random() < 0.05
        logs = np.array([rng.normal(-0.5, 0.5), rng.normal(-1, 1)]) + 6 * storm
        if block > 24 * 10:
            worth.append(np.exp(normaliser.divided(state, logs)))
        normaliser.learn(state, logs, block // 24, 0)
    assert np.mean(worth, axis=0).max() < 1.35
    assert max(normaliser.divided(state, np.array([900.0, 9.0]))) < normaliser.MOST
    assert len(msgspec.msgpack.encode(state)) < 1_000


def test_noise_that_whole_days_share_divides_the_evidence():
    rng = np.random.default_rng(4)
    for spread, least, most in ((0.0, 1.0, 1.3), (1.0, 3.0, 30.0)):
        state: dict = {}
        for day in range(30):
            shared = rng.normal(0, spread)
            for _ in range(24):
                normaliser.learn(state, np.array([rng.normal(-1, 0.7) + shared]), day, 0)
        assert least <= state["phi"] < most


def test_what_belongs_to_a_change_is_not_learned():
    state: dict = {}
    for day in range(12):
        for _ in range(24):
            normaliser.learn(state, np.array([0.0 if day < 8 else 3.0]), day, 0)
    normaliser.forget_since(state, 8)
    normaliser.learn(state, np.array([0.0]), 20, 0)
    assert state["sum"][0] == pytest.approx(state["n"])


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_the_promise_is_kept_in_hours_that_differ(spread):
    """One false alarm a month and series: here in the mean of four series over eleven weeks.

    Calls come in every sixth minute only, which tests as much in less time.
    """
    alarms, months = 0, 0.0
    for seed in range(4):
        rng = np.random.default_rng([5, seed])
        share = 0.02 * restless(rng, 11 * WEEK, spread)
        calls, bad = counts(rng, share, 60)
        there = np.arange(len(share)) % 6 == 0
        found = readings(Regression(metric="error_share", series=1), of(calls * there, bad * there))
        alarms += sum(each.verdict == "breach" for each in found)
        months += 9 / 4.3
    assert alarms <= months


def test_a_doubled_rate_and_a_creep_are_found_and_told_since_when():
    """With 18 calls a minute at most, hours that differ by 20 %, and 1 false alarm a month for 100 series."""
    change = 4 * WEEK + 600
    minute = np.arange(6 * WEEK)
    grown = {
        "doubled": (np.where(minute < change, 1, 2), 12),
        "creep": (np.where(minute < change, 1, 1.02 ** ((minute - change) / 60)), 40),
    }
    for name, (growth, most) in grown.items():
        rng = np.random.default_rng(6)
        share = 0.02 * restless(rng, len(minute), 0.2) * growth
        first = readings(Regression(metric="error_share"), of(*counts(rng, share)))[0]
        assert 0 < late(first, change) <= most, name
        assert first.value > 1.5 * first.limit, name
        assert first.limit == pytest.approx(0.02, rel=0.2)
        assert re.fullmatch(r"[\d.]+ times as much, since (Mon|Tue) \d\d:\d\d UTC", first.note)
    assert "since Mon" in first.note


def test_what_goes_on_holds_and_what_is_over_ends():
    change, over = 3 * WEEK + 600, 3 * WEEK + 1_800
    rng = np.random.default_rng(7)
    minute = np.arange(4 * WEEK)
    share = np.where((minute >= change) & (minute < over), 0.2, 0.02)
    told, ended = readings(Regression(metric="error_share"), of(*counts(rng, share)))
    assert (told.verdict, ended.verdict) == ("breach", "clear")
    assert 0 < late(ended, over) <= 4
    assert ended.note == "back to the usual level"
    assert ended.value < 0.04


def cached(calls: np.ndarray, hits: np.ndarray) -> dict[int, Vitals]:
    """Minutes of calls, some of which the gateway's cache answered."""
    found = {}
    for at in np.flatnonzero(calls).tolist():
        sums = {"calls": int(calls[at]), "cache_hits": int(hits[at])}
        found[at] = Vitals(tuple(sums.get(name, 0) for name in counters.SUMS))
    return found


@pytest.mark.parametrize("share", [0, 0.0005])
def test_a_share_that_is_usually_near_0_can_not_fall(share):
    rng = np.random.default_rng(21)
    calls, hits = counts(rng, np.where(np.arange(8 * DAY) < 6 * DAY, share, 0), 40)
    for way in ("down", "both"):
        rule = Regression(metric="cache_hit_share", against="days", direction=way)
        assert readings(rule, cached(calls, hits)) == []


def test_a_cache_that_fails_is_told_once_even_if_it_is_gone_for_good():
    rng = np.random.default_rng(22)
    change = 4 * DAY + 600
    share = np.where(np.arange(12 * DAY) < change, 0.3, 0)
    rule = Regression(metric="cache_hit_share", against="days", past=3)
    told, over = readings(rule, cached(*counts(rng, share, 40)))
    assert told.verdict == "breach"
    assert 0 < late(told, change) < 5
    assert over.verdict == "none"
    assert late(over, change) < 110


@pytest.mark.parametrize("many", [10, 100])
def test_one_bad_call_of_a_score_that_is_usually_0_is_no_rise_but_many_are(many):
    def judged(bad: int) -> Vitals:
        return Vitals(errors(many, 0).sums, scores={"hurt": (many, bad * 1_000_000, bad * 1_000_000)})

    rule, state = Regression(metric="score.hurt_mean", against="days", direction="up"), {}
    rare = {at: judged(int(at % 1_400 == 1_000)) for at in range(6 * DAY)}
    assert readings(rule, rare, state) == []
    (told,) = readings(rule, {6 * DAY + at: judged(many // 10) for at in range(150)}, state)
    assert late(told, 6 * DAY) < 2.5


def test_the_hour_of_last_week_that_was_bad_is_not_usual():
    rng = np.random.default_rng(8)
    minute = np.arange(5 * WEEK)
    incident = (minute >= 3 * WEEK + 600) & (minute < 3 * WEEK + 1_000)
    again = (minute >= 4 * WEEK + 600) & (minute < 4 * WEEK + 1_000)
    share = np.where(incident | again, 0.3, 0.02)
    found = [
        each
        for each in readings(Regression(metric="error_share"), of(*counts(rng, share)))
        if each.verdict == "breach"
    ]
    assert len(found) == 2
    assert late(found[1], 4 * WEEK + 600) < 2


def test_holes_in_the_past_are_no_past():
    rng = np.random.default_rng(9)
    calls, bad = counts(rng, np.full(6 * WEEK, 0.02))
    calls[WEEK - 3_000 : WEEK + 4_000] = 0
    calls[4 * WEEK : 5 * WEEK] = 0
    assert readings(Regression(metric="error_share"), of(calls, np.minimum(bad, calls))) == []


def test_an_alert_without_calls_is_not_waited_for():
    rng = np.random.default_rng(10)
    calls, bad = counts(rng, np.where(np.arange(3 * WEEK) < 2 * WEEK + 600, 0.02, 0.5))
    calls[2 * WEEK + 700 :] = 0
    state: dict = {}
    rule = Regression(metric="error_share")
    (told,) = readings(rule, of(calls, np.minimum(bad, calls)), state)
    detector = rule.detector(60 * SECOND, ())
    wakes = detector.wakes(state)
    assert 0 < wakes - (told.at // SECOND // 60) <= DAY + 700
    (over,) = detector.take(state, wakes, None)
    assert (over.verdict, over.note) == ("none", "nothing to compare for a day; no longer waiting")
    assert detector.wakes(state) > wakes * 1_000


def test_the_same_from_panes_as_from_minutes():
    """Six panes of ten seconds are one minute, and a minute may have any of them."""
    rng = np.random.default_rng(11)
    rule = Regression(metric="error_share", against="days")
    share = np.where(np.arange(5 * DAY) < 4 * DAY, 0.02, 0.2)
    calls, bad = counts(rng, share)
    detector, state, found = rule.detector(PANE, ()), {}, []
    for at in np.flatnonzero(calls).tolist():
        parts = sorted(rng.choice(6, min(calls[at], 2), replace=False).tolist())
        for number, part in enumerate(parts):
            first = number == 0
            rest = len(parts) - 1
            said = errors(
                calls[at] - rest if first else 1, max(0, bad[at] - rest) if first else min(1, bad[at])
            )
            found += detector.take(state, (FIRST + at) * 6 + part, said)
        if "open" in state:
            found += detector.take(state, detector.wakes(state), None)
    told = [each for each in found if each.verdict == "breach" or each.note]
    whole = readings(rule, of(calls, bad))
    assert [each.at for each in told] == [each.at for each in whole]
    assert told


def test_a_changed_effect_forgets_no_week_and_the_state_stays_small():
    rng = np.random.default_rng(12)
    state: dict = {}
    known = of(*counts(rng, np.full(5 * WEEK, 0.02)))
    one, other = (
        Regression(metric="error_share", effect=effect, direction="both") for effect in ("10%", "50%")
    )
    readings(one, known, state)
    assert one.detector(PANE, ()).shape == other.detector(PANE, ()).shape
    assert one.detector(PANE, ()).shape != Regression(metric="latency_p95").detector(PANE, ()).shape
    assert len(msgspec.msgpack.encode(state)) < 20_000
    assert len(hours.rows(state)) in range(4 * 168 - 8, 4 * 168 + 2)


def test_a_changed_direction_is_heard_from_the_next_hour_on():
    rng = np.random.default_rng(16)
    state: dict = {}
    minutes = of(*counts(rng, np.where(np.arange(5 * DAY) < 4 * DAY + 630, 0.02, 0.3)))
    rule = {"metric": "error_share", "against": "days"}
    up, down, both = (Regression(**rule, direction=way) for way in ("up", "down", "both"))
    before = {at: minutes[at] for at in minutes if at < 4 * DAY + 610}
    assert readings(down, before, state) == []
    then = {at: minutes[at] for at in minutes if 4 * DAY + 610 <= at < 4 * DAY + 800}
    (told,) = readings(both, then, state)
    assert told.verdict == "breach"
    rest = {at: minutes[at] for at in minutes if at >= 4 * DAY + 800}
    (over,) = readings(down, rest, state)
    assert (over.verdict, over.note) == ("none", "the rule was changed")
    assert up.detector(PANE, ()).shape == down.detector(PANE, ()).shape


def sample(rng: np.random.Generator, times: float) -> Vitals:
    """A minute of ten calls of which everything is known, worse by a factor."""
    n = 12
    costs = rng.lognormal(0, 0.5, n) * times
    bad = {
        name: int(rng.binomial(n, min(0.05 * times**2, 1)))
        for name in (
            "errors",
            "toxic_calls",
            "refused_calls",
            "late_calls",
            "duplicates",
            "truncated_calls",
            "guardrail_blocks",
            "unpriced_calls",
            "unknown_usage_calls",
            "inconsistent_usage_calls",
            "empty_retrievals",
            "guardrail_flags",
            "unscored_calls",
        )
    }
    slow = vitals(ms=tuple(costs * 1_000), tokens=tuple(costs * 500))
    logs = int(np.log1p(costs * 200).sum() / counters.LOG_UNIT)
    totals = (
        dict.fromkeys(
            (
                "usage_calls",
                "latency_count",
                "ttft_count",
                "priced_calls",
                "toxicity_count",
                "guarded_calls",
                "retrievals",
                "retrieval_count",
                "top_score_count",
                "embedded_calls",
            ),
            n,
        )
        | bad
    )
    totals |= {
        "cost_nano": int(costs.sum() * 1e7),
        "ttft_us": int(costs.sum() * 1e5),
        "output_tokens": int(costs.sum() * 200),
        "log_output": logs,
        "toxicity_micro": int(costs.sum() * 5e4),
    }
    del totals["usage_calls"], totals["latency_count"]
    return merged(
        [
            slow,
            Vitals(
                tuple(totals.get(name, 0) for name in counters.SUMS),
                scores={"good": (n, int(costs.sum() / times**2 * 5e5), 0)},
            ),
        ]
    )


@pytest.mark.parametrize(
    "name",
    [
        "latency_mean",
        "latency_p50",
        "input_tokens_per_call_mean",
        "output_tokens_per_call_mean",
        "toxicity_mean",
        "score.good_mean",
        "truncated_share",
        "guardrail_block_share",
    ],
)
def test_every_way_to_compare_finds_what_is_worse(name):
    rng = np.random.default_rng(13)
    quiet = {at: sample(rng, 1) for at in range(4 * DAY)}
    rule = Regression(metric=name, against="days", effect="20%")
    state: dict = {}
    assert readings(rule, quiet, state) == []
    told = readings(rule, {4 * DAY + at: sample(rng, 1.6) for at in range(400)}, state)[0]
    gauge = gauge_of(name)
    for value, times in ((told.limit, 1), (told.value, 1.6)):
        (known,) = [
            gauge.value(
                gauge.sample(merged([sample(np.random.default_rng(14 + i), times) for i in range(200)]))
            )
        ]
        assert value == pytest.approx(known, rel=0.25)
    assert (told.value > told.limit) == (metric_of(name).worse == "up")


def test_what_can_not_be_compared_is_refused_and_all_else_has_a_way():
    for name in METRICS:
        if name in COMPARABLE:
            assert gauge_of(name).sample(sample(np.random.default_rng(15), 1))
        else:
            with pytest.raises(ValueError, match="has no calls that can be compared"):
                Regression(metric=name)
    assert {"latency_p95", "error_share", "toxicity_share", "cost_per_call_p99", "cost_per_call_mean"} <= set(
        COMPARABLE
    )
    assert not {"cost", "calls", "cache_saving_share", "latency_max"} & set(COMPARABLE)
    assert [
        metric_of(name).worse
        for name in ("error_share", "output_tokens_per_s_p10", "score.x_mean", "cache_hit_share")
    ] == ["up", "down", "down", "down"]


@pytest.mark.parametrize(
    ("name", "sketches"),
    [
        ("latency_mean", ("latency_ms",)),
        ("ttft_p95", ("ttft_ms",)),
        ("error_share", ()),
        ("output_tokens_per_call_mean", ()),
    ],
)
def test_a_backtest_reads_what_a_mean_is_compared_by(tmp_path, name, sketches):
    (rule,) = rule_engine(tmp_path, f"alert: A\nregression: {{metric: {name}}}").rules.rules
    read = rule.condition.required_data
    assert read is not None
    assert read.sketches == sketches


def test_what_people_read(tmp_path):
    rule = "alert: A\nregression: {metric: latency_p95, by: [app], against: days, min_calls: 10}"
    watched = rule_engine(tmp_path, rule)
    panes = {
        FIRST * 6 + at * 6: vitals(ms=(1_000.0 if at < 3 * DAY + 600 else 2_000.0,) * 3)
        for at in range(3 * DAY + 800)
    }
    told = walk(watched, panes, max(panes) + 6, series=("chat",))
    assert [alert.summary for alert in told] == [
        "latency p95 is 2.02 s, 1 s is usual at this time of past days (2 times as much, since Thu 10:00 UTC): app=chat"
    ]
    assert (told[0].kind, told[0].window, told[0].unit) == ("regression", "7d", "ms")


def test_its_page_loads_and_says_what_is_so(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(block, encoding="utf-8")
    first, *_ = load_engine(tmp_path, PANE).rules.rules
    assert first.condition == Regression(
        metric="latency_p95", by=("app",), past=4, effect="20%", direction="up"
    )
    named = re.findall(r"`([a-z]+_[a-z0-9_]+)`", PAGE[PAGE.index("| metrics") : PAGE.index("Totals and")])
    assert set(named) <= set(COMPARABLE)
    (said,) = re.findall(r"^> (.*)", PAGE, re.MULTILINE)
    words = first.condition.summary.format(
        value="2.1 s", limit="1.5 s", note="1.4 times as much, since Tue 14:05 UTC", series="app=chat"
    )
    assert said == words

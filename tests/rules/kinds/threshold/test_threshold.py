"""Thresholds: every statistic over a trailing window, read as of each pane's end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.errors import RuleError
from llmvitals.metrics.registry import METRICS
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.threshold.spec import Threshold
from llmvitals.sketch import counters, quantiles
from panes import MINUTE, PANE, rule_engine, transitions, vitals, walk

FIRST = 1_700_000_000_000_000 // PANE // (6 * MINUTE) * 6 * MINUTE


USED = {"tokens": (100,) * 20}
"""20 calls with 2,000 input tokens."""


def rule(folder, condition: str, life: str = ""):
    return rule_engine(folder, f"alert: A\nthreshold: {{{condition}}}\n{life}")


def alone(folder, condition: str, **content):
    """The alerts of one pane, and of what follows it."""
    return walk(rule(folder, condition), {FIRST: vitals(**content)}, FIRST + 200 * MINUTE)


@pytest.mark.parametrize(
    ("metric", "fires", "silent", "content", "value"),
    [
        ("calls", "above: 9", "above: 10", {"calls": 10}, 10),
        ("errors", "below: 4", "below: 3", {"calls": 10, "errors": 3}, 3),
        ("errors", "above: 2", "above: 3", {"calls": 10, "errors": 3}, 3),
        ("calls_per_s", "window: 20s, above: 0.4", "window: 20s, above: 0.5", {"calls": 10}, 0.5),
        ("cost", "above: 0.74", "above: 0.75", {"cost": 0.75}, 0.75),
        ("tokens", "above: 99", "above: 100", {"tokens": (40, 30), "output_tokens": 30}, 100),
        ("error_share", "above: 14.99%", "above: 15%", {"calls": 20, "errors": 3}, 0.15),
        ("truncated_share", "above: 19%", "above: 20%", {"calls": 20, "truncated_calls": 4}, 0.2),
        ("guardrail_block_share", "above: 19%", "above: 20%", {"calls": 20, "guardrail_blocks": 4}, 0.2),
        ("refusal_share", "above: 9%", "above: 10%", {"calls": 20, "refused_calls": 2}, 0.1),
        (
            "guardrail_flag_share",
            "above: 24%",
            "above: 25%",
            {"calls": 90, "guarded_calls": 20, "guardrail_flags": 5},
            0.25,
        ),
        (
            "empty_retrieval_share",
            "above: 49%",
            "above: 50%",
            {"retrievals": 20, "empty_retrievals": 10},
            0.5,
        ),
        ("unscored_share", "above: 4%", "above: 5%", {"calls": 20, "unscored_calls": 1}, 0.05),
        ("embedded_share", "below: 46%", "below: 45%", {"calls": 20, "embedded_calls": 9}, 0.45),
        (
            "documents_per_retrieval_mean",
            "below: 2.6",
            "below: 2.5",
            {"retrievals": 20, "documents": 50},
            2.5,
        ),
        (
            "retrieval_latency_mean",
            "above: 149ms",
            "above: 150ms",
            {"retrieval_count": 20, "retrieval_us": 3_000_000},
            150,
        ),
        (
            "retrieval_top_score_mean",
            "below: -0.4",
            "below: -0.6",
            {"top_score_count": 20, "top_score_micro": -10_000_000},
            -0.5,
        ),
        ("unpriced_share", "above: 94%", "above: 95%", {"calls": 20, "unpriced_calls": 19}, 0.95),
        ("unknown_usage_share", "above: 24%", "above: 25%", {"calls": 20, "unknown_usage_calls": 5}, 0.25),
        ("cache_hit_share", "below: 46%", "below: 45%", {"calls": 20, "cache_hits": 9}, 0.45),
        ("toxicity_share", "above: 9%", "above: 10%", {"toxicity_count": 20, "toxic_calls": 2}, 0.1),
        (
            "toxicity_mean",
            "above: 0.3",
            "above: 0.4",
            {"toxicity_count": 20, "toxicity_micro": 8_000_000},
            0.4,
        ),
        ("latency_mean", "above: 1499ms", "above: 1500ms", {"ms": (500.0,) * 10 + (2500.0,) * 10}, 1500),
        ("latency_max", "above: 2s", "above: 2500ms", {"ms": (500.0,) * 19 + (2500.0,)}, 2500),
        ("cost_per_call_mean", "above: 0.024", "above: 0.026", {"priced_calls": 20, "cost": 0.5}, 0.025),
        (
            "input_tokens_per_call_mean",
            "above: 199",
            "above: 200",
            {"tokens": (100,) * 10 + (300,) * 10},
            200,
        ),
        ("output_tokens_per_call_mean", "above: 49", "above: 50", {**USED, "output_tokens": 1000}, 50),
        ("tokens_per_call_mean", "above: 149", "above: 150", {**USED, "output_tokens": 1000}, 150),
        ("cached_token_share", "below: 46%", "below: 45%", {**USED, "cached_tokens": 900}, 0.45),
        (
            "reasoning_token_share",
            "above: 79%",
            "above: 80%",
            {**USED, "output_tokens": 500, "reasoning_tokens": 400},
            0.8,
        ),
        (
            "cost_per_million_output_tokens",
            "above: 29.9",
            "above: 30",
            {**USED, "cost": 0.03, "output_tokens": 1000},
            30,
        ),
        (
            "cache_saving_share",
            "below: 21%",
            "below: 20%",
            {"priced_calls": 20, "cost": 0.8, "gross_cost_nano": 10**9},
            0.2,
        ),
        (
            "inconsistent_usage_share",
            "above: 9%",
            "above: 10%",
            {"calls": 20, "inconsistent_usage_calls": 2},
            0.1,
        ),
        ("duplicate_share", "above: 9%", "above: 10%", {"calls": 20, "duplicates": 2}, 0.1),
        ("cost_per_hour", "window: 5m, above: 11.9", "window: 5m, above: 12", {"cost": 1}, 12),
        ("tokens_per_s", "window: 20s, above: 6.9", "window: 20s, above: 7", {"tokens": (70, 70)}, 7),
        ("score.helpful_mean", "below: 0.26", "below: 0.25", {"scores": {"helpful": (20, 5_000_000)}}, 0.25),
        (
            "score.mood.v2_mean",
            "below: -0.4",
            "below: -0.6",
            {"scores": {"mood.v2": (20, -10_000_000)}},
            -0.5,
        ),
    ],
)
def test_a_statistic_fires_beyond_its_limit_only(tmp_path, metric, fires, silent, content, value):
    alerts = alone(tmp_path, f"metric: {metric}, {fires}", **content)
    assert [alert.status for alert in alerts] == ["firing", "resolved"]
    assert alerts[0].value == pytest.approx(value)
    assert alone(tmp_path, f"metric: {metric}, {silent}", **content) == []


@pytest.mark.parametrize(("metric", "value"), [("p50", 1000), ("p90", 1000), ("p95", 9000), ("p99", 9000)])
def test_quantiles_are_right_within_one_per_cent(tmp_path, metric, value):
    (alert, _) = alone(tmp_path, f"metric: latency_{metric}, above: 500ms", ms=(1000.0,) * 94 + (9000.0,) * 6)
    assert alert.value == pytest.approx(value, rel=0.01)
    (alert, _) = alone(
        tmp_path, f"metric: input_tokens_per_call_{metric}, above: 500", tokens=(1000,) * 94 + (9000,) * 6
    )
    assert alert.value == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize(("more", "silent"), [(0.0, True), (1.0, False)])
def test_a_quantile_is_never_above_the_exact_maximum(tmp_path, more, silent):
    """The middle of the bin of 8,000 ms is 8,024 ms; the window holds several panes, whose maxima leave it."""
    watched = rule(tmp_path, "metric: latency_p95, above: 8s, window: 1m, min_calls: 20")
    slow = vitals(ms=(8000.0 + more,) * 20)
    panes = {FIRST + at: slow for at in range(3)} | {FIRST + 20: vitals(ms=(90_000.0,)), FIRST + 26: slow}
    alerts = walk(watched, panes, FIRST + 99)
    assert (alerts == []) is silent
    assert {alert.value for alert in alerts if alert.status == "firing"} <= {8001.0}


def test_every_metric_stands_on_what_vitals_hold():
    for name, metric in METRICS.items():
        for total in (*metric.over, *metric.less, metric.under, metric.counted, metric.top):
            assert total in {*counters.SUMS, *counters.MAXIMA, "", "seconds"}, name
        assert metric.sketch in {*quantiles.SKETCHES, ""}, name


def test_a_few_calls_never_page(tmp_path):
    slow = "metric: latency_p99, above: 1s"
    assert alone(tmp_path, slow, ms=(60_000.0,) * 2) == []
    assert alone(tmp_path, slow, ms=(60_000.0,) * 19) == []
    assert len(alone(tmp_path, slow, ms=(60_000.0,) * 20)) == 2
    assert len(alone(tmp_path, slow + ", min_calls: 2", ms=(60_000.0,) * 2)) == 2
    assert alone(tmp_path, "metric: error_share, above: 1%", calls=19, errors=19) == []


@pytest.mark.parametrize(
    ("calls", "speaks"),
    [(19, set()), (20, {name for name, metric in METRICS.items() if not metric.additive})],
)
def test_nothing_that_few_calls_make_jump_is_read_of_less_than_twenty(calls, speaks):
    """Of each metric that is no sum, whatever the calls say."""
    sums = (calls,) * len(counters.SUMS)
    keys = sorted(int(quantiles.bin_keys(name, np.array([9.0]))[0]) for name in quantiles.SKETCHES)
    bins = np.array(keys, np.uint16), np.full(len(keys), calls)
    full = Vitals(sums, (1,) * len(counters.MAXIMA), bins)
    heard = {}
    for name, metric in METRICS.items():
        watched = Threshold(
            metric=name, above="0%" if metric.unit == "share" else "0s" if metric.unit == "ms" else 0
        )
        (reading,) = watched.detector(PANE, ()).take({}, FIRST, full)
        heard[name] = reading.verdict
    assert {name for name, said in heard.items() if said != "none" and not METRICS[name].additive} == speaks


def test_min_calls_counts_the_calls_that_the_metric_rests_on(tmp_path):
    assert (
        alone(
            tmp_path,
            "metric: toxicity_mean, above: 0.1",
            calls=500,
            toxicity_count=19,
            toxicity_micro=19_000_000,
        )
        == []
    )


def test_a_score_counts_by_its_own_count(tmp_path):
    bad = "metric: score.helpful_mean, below: 0.5"
    assert alone(tmp_path, bad, calls=500, scores={"helpful": (19, 0)}) == []
    assert alone(tmp_path, bad, calls=500, scores={"other": (500, 0)}) == []
    assert len(alone(tmp_path, bad, calls=500, scores={"helpful": (20, 0)})) == 2


def test_a_score_may_be_called_anything(tmp_path):
    (alert, _) = alone(tmp_path, '"metric": "score.{x}{_mean", below: 0.5', scores={"{x}{": (20, 0)})
    assert alert.summary == "score.{x}{ mean over 5m is 0, the limit is 0.5: all calls"


def test_a_score_has_a_name(tmp_path):
    for name in ("score._mean", "score.helpful", "score.helpful_p95"):
        with pytest.raises(RuleError, match="is no metric"):
            rule(tmp_path, f"metric: {name}, below: 0.5")


def test_the_window_slides_by_panes(tmp_path):
    watched = rule(tmp_path, "metric: errors, above: 4, window: 1m")
    panes = {FIRST: vitals(errors=3), FIRST + 5: vitals(errors=2)}
    assert transitions(walk(watched, panes, FIRST + 99)) == [
        ("firing", "", FIRST + 5),
        ("resolved", "", FIRST + 6),
    ]
    assert walk(watched, {FIRST: vitals(errors=3), FIRST + 6: vitals(errors=2)}, FIRST + 99) == []


def test_a_window_over_20_minutes_slides_by_minutes(tmp_path):
    watched = rule(tmp_path, "metric: errors, above: 4, window: 30m")
    last = FIRST + 30 * MINUTE - 1
    panes = {FIRST + 3: vitals(errors=3), last: vitals(errors=2)}
    assert transitions(walk(watched, panes, FIRST + 99 * MINUTE)) == [
        ("firing", "", last),
        ("resolved", "", last + 1),
    ]


def test_the_maximum_leaves_with_its_pane(tmp_path):
    watched = rule(tmp_path, "metric: latency_max, above: 2s, window: 1m, min_calls: 1")
    panes = {FIRST: vitals(ms=(3000.0,)), FIRST + 1: vitals(ms=(1000.0,)), FIRST + 5: vitals(ms=(1500.0,))}
    alerts = walk(watched, panes, FIRST + 99)
    assert transitions(alerts) == [("firing", "", FIRST), ("resolved", "", FIRST + 6)]
    assert [alert.value for alert in alerts] == [3000, 1500]


def test_a_value_may_rise_because_good_calls_leave(tmp_path):
    watched = rule(tmp_path, "metric: error_share, above: 50%, window: 1m, min_calls: 10")
    panes = {FIRST: vitals(calls=90), FIRST + 1: vitals(calls=10, errors=9)}
    assert transitions(walk(watched, panes, FIRST + 99))[0] == ("firing", "", FIRST + 6)


def test_an_alert_shows_how_the_value_went_within_its_window(tmp_path):
    watched = rule(tmp_path, "metric: latency_mean, above: 3s, window: 1m, min_calls: 1")
    went = {0: 9_000.0, 6: 100.0, 8: 200.0, 11: 12_000.0}
    panes = {FIRST + pane: vitals(ms=(ms,)) for pane, ms in went.items()}
    first, over, again, end = walk(watched, panes, FIRST + 99)
    assert first.trend == [9_000]
    assert again.trend == [100, 200, 12_000]  # What has left the window is gone, and no call has no latency.
    assert over.trend == end.trend == []


def test_the_trend_of_a_sum_leaves_out_the_minute_that_has_only_begun(tmp_path):
    watched = rule(tmp_path, "metric: cost, above: 99, window: 1h")
    minutes = {FIRST + minute * MINUTE: vitals(cost=1) for minute in range(30) if minute != 20}
    alerts = walk(watched, {**minutes, FIRST + 30 * MINUTE: vitals(cost=100)}, FIRST + 31 * MINUTE)
    assert [alert.value for alert in alerts] == [129]
    assert alerts[0].trend == [1] * 10 + [0] + [1] * 9  # The last 20, and nothing was spent without a call.


SERIES = st.dictionaries(
    st.integers(0, 60),
    st.lists(st.sampled_from([100.0, 1000.0, 5000.0]), min_size=1, max_size=4),
    max_size=30,
)


@given(SERIES, st.sampled_from(["p50", "p95", "mean", "max"]))
def test_what_fires_is_what_all_calls_of_the_window_say(tmp_path_factory, series, statistic):
    watched = rule(
        tmp_path_factory.mktemp("rules"),
        f"metric: latency_{statistic}, above: 900ms, window: 1m, min_calls: 3",
    )
    expected, firing = [], False
    for now in range(80):
        calls = sorted(ms for pane, some in series.items() if now - 6 < pane <= now for ms in some)
        value: Any = {
            "p50": lambda v: v[int(0.5 * (len(v) - 1))],
            "p95": lambda v: v[int(0.95 * (len(v) - 1))],
            "mean": lambda v: sum(v) / len(v),
            "max": max,
        }[statistic]
        breach = len(calls) >= 3 and value(calls) > 900
        if breach != firing:
            firing = breach
            expected.append(("firing" if firing else "resolved", "", FIRST + now))
    panes = {FIRST + pane: vitals(ms=tuple(some)) for pane, some in series.items()}
    assert transitions(walk(watched, panes, FIRST + 80)) == expected


@pytest.mark.parametrize("part", ["by: [team, outcome]", "where: {outcome: ticket_solved}"])
def test_the_cost_of_an_outcome_is_not_parted_from_its_calls(tmp_path, part: str) -> None:
    with pytest.raises(
        RuleError, match="calls have no outcome, so the cost of each one would be 0: leave outcome out"
    ):
        rule(tmp_path, f"metric: cost_per_outcome, above: 1, {part}")
    rule(tmp_path, f"metric: outcomes, below: 1, {part}")

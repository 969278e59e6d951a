"""From calls to the root-cause line, through the stages of the worker: each story is told by its true cause."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from llmvitals.local.traffic import Script, company
from llmvitals.record.alert import Alert
from panes import SECOND
from spend import replayed, stages

START = 1_700_006_400 * SECOND
MINUTE = 60 * SECOND
CHANGE = 40 * MINUTE
LENGTH = 55 * MINUTE
SPEND = """
alert: Spend
threshold: {metric: cost_per_hour, above: 3, by: [app], window: 5m, resolve_below: 1}
"""
SLOW = """
alert: Slow
threshold: {metric: latency_p95, above: 6s, window: 5m, min_calls: 20}
"""


def call(number: int, at: int, **more: Any) -> dict[str, Any]:
    """An answer of a support bot: two apps and three users, most of its prompt from the provider's cache."""
    return {
        "id": f"c{number}", "ts": (START + at) // 1_000, "app": "support", "model": "gpt-5-mini", "provider": "openai",
        "prompt_name": "answer", "prompt_version": "v7", "user": f"u{number % 3}", "session": f"s{number // 20}",
        "input_tokens": 6_000, "cached_tokens": 5_000, "output_tokens": 300 + number % 7, "latency_ms": 2_000 + number % 11,
        "trace_id": f"t{number}",
    } | more  # fmt: skip


def story(change: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A call every five seconds; from CHANGE on each becomes what `change` makes of it."""
    calls: list[dict[str, Any]] = []
    for number, at in enumerate(range(0, LENGTH, 5 * SECOND)):
        usual = call(number, at)
        calls += change(usual) if at >= CHANGE else [usual]
        calls.append(
            call(number, at, id=f"x{number}", app="search", prompt_name="rewrite", prompt_version="v1")
        )
    return calls


def stuffed(usual):
    yield usual | {"prompt_version": "v8", "input_tokens": 30_000}


def uncached(usual):
    yield usual | {"cached_tokens": 0, "input_tokens": 6_000}


def dearer(usual):
    yield usual | {"model": "gpt-5"}


def doubled(usual):
    yield usual
    yield usual | {"id": f"{usual['id']}b", "user": "u-new"}


def talkative(usual):
    yield usual | {"output_tokens": 3_000, "latency_ms": 20_000}


def slower(usual):
    yield usual | {"latency_ms": 9_000}


def raised(usual):
    # $0.002475 at the list price.
    yield usual | {"input_tokens": 12_000, "cost_usd": 0.0037}


def told(folder, change, rule=SPEND, **how) -> list[Alert]:
    return replayed(stages(folder, rule), story(change), **how)


@pytest.mark.parametrize(
    ("change", "above", "cause"),
    [
        (stuffed, 1.5, "100 % from longer prompts in answer@v8"),
        (uncached, 1.1, "100 % from fewer cache hits in answer@v7"),
        (dearer, 2, "100 % from gpt-5 instead of gpt-5-mini"),
        (doubled, 1.2, "100 % from more calls by u-new"),
        (talkative, 1.5, "100 % from longer answers in answer@v7"),
    ],
    ids=["prompt", "cache", "model", "traffic", "answers"],
)
def test_money_is_told_by_its_true_cause(tmp_path, change, above, cause):
    (alert, *_) = told(tmp_path, change, SPEND.replace("above: 3", f"above: {above}"))
    assert (alert.status, alert.labels["app"]) == ("firing", "support")
    assert alert.at >= START + CHANGE
    assert alert.cause.startswith("+$")
    assert alert.cause.endswith(cause)


def test_a_price_rise_and_longer_prompts_are_both_told_by_the_list_of_the_model(tmp_path):
    (alert, *_) = told(tmp_path, raised, SPEND.replace("above: 3", "above: 1.5"))
    assert re.search(
        r": 5\d % from longer prompts in answer@v7, 3\d % from a higher price in answer@v7", alert.cause
    )
    by_model = SPEND.replace("above: 3", "above: 2").replace("[app]", "[model]")
    (alert, *_) = told(tmp_path, raised, by_model)
    assert re.search(r": 6\d % from longer prompts in answer@v7, 3\d % from a higher price", alert.cause)


def test_latency_is_told_by_its_true_cause(tmp_path):
    (alert, *_) = told(tmp_path, slower, SLOW)
    assert alert.cause.endswith(" a call against the 38 min before: 100 % from slower answers of gpt-5-mini")
    (alert, *_) = told(tmp_path, talkative, SLOW)
    assert " % from longer answers of gpt-5-mini" in alert.cause


def test_each_level_of_a_budget_has_its_own_line_and_the_end_keeps_the_last(tmp_path):
    rule = "alert: A\nbudget: {limit: 2, per: hour, by: [app], thresholds: [50%, 80%]}"
    half, full, over = told(tmp_path, stuffed, rule, until=(START + 3 * 60 * MINUTE) // (10 * SECOND))
    assert [alert.level for alert in (half, full, over)] == ["50%", "80%", "80%"]
    assert half.cause != full.cause
    for alert in (half, full, over):
        assert re.search(r": 1\d\d % from longer prompts in answer@v8$", alert.cause)
    assert over.status == "resolved"


def test_a_budget_that_is_used_up_as_ever_has_no_line(tmp_path):
    rule = "alert: A\nbudget: {limit: 1, per: day, thresholds: [50%, 95%]}"
    found = told(tmp_path, lambda usual: [usual], rule)
    assert [(alert.level, alert.cause) for alert in found] == [("50%", ""), ("95%", "")]


def test_the_line_is_the_same_in_any_batches(tmp_path):
    for rule in (SPEND.replace("above: 3", "above: 1.5"), SLOW):
        whole = told(tmp_path, talkative, rule)
        assert whole[0].cause
        assert told(tmp_path, talkative, rule, size=37) == whole


def test_at_most_five_calls_are_worth_a_look(tmp_path):
    (alert, *_) = told(tmp_path, talkative)
    assert 1 <= len(alert.exemplars) <= 5


def test_the_demos_stuffed_prompt_is_named(tmp_path):
    script = Script(stuffing=0.5, slow=2, failing=2, recovered=2, runaway=2)
    calls = list(company(START, 20 * MINUTE, script=script))
    assert {call["prompt_version"] for call in calls if call["prompt_name"] == "answer"} == {"v7", "v8"}
    rule = "alert: A\nthreshold: {metric: cost_per_hour, above: 6, window: 2m, by: [team]}"
    found = [alert for alert in replayed(stages(tmp_path, rule), calls) if alert.labels["team"] == "support"]
    assert found[0].at > START + 10 * MINUTE
    assert re.search(r": \d+ % from longer prompts in answer@v8", json.loads(found[0].encode())["cause"])

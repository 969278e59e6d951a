"""`llmvitals audit`: the list price of coding agents' calls beside what a flat-rate plan costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from llmvitals.audit.plans import Plans
from llmvitals.cli import app
from llmvitals.record.call import Call

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
CLAUDE = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "input_tokens": 100_000,
    "output_tokens": 0,
}
MONTH = 365 / 12


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMVITALS_PLANS", '{"claude-code": 200, "codex": 30}')


def audited(*words: str, **more: Any) -> Result:
    """Two developers with three calls within ten days, whose list price is $0.30 each, and others."""
    calls = [
        CLAUDE | {"ts": MONDAY, "agent": "claude_code", "user": "ana", "cost_usd": 9.0},
        CLAUDE | {"ts": MONDAY + timedelta(days=1), "agent": "claude_code", "user": "ana"},
        CLAUDE | {"ts": MONDAY + timedelta(days=2), "app": "claude-code", "user": "ben"},
        CLAUDE | {"ts": MONDAY + timedelta(days=10), "app": "search", "user": "cy"},
        CLAUDE | {"ts": MONDAY, "agent": "claude_code", "user": "dan", "operation": "tool"},
    ]
    if more:
        calls.append(CLAUDE | {"ts": MONDAY, "agent": "claude_code"} | more)
    lines = [json.dumps(call | {"id": f"c{n}x"}, default=datetime.isoformat) for n, call in enumerate(calls)]
    Path("calls.jsonl").write_text("\n".join(lines))
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    return runner.invoke(app, ["audit", "--file", "calls.jsonl", *words])


def test_the_list_price_stands_beside_that_of_the_plan() -> None:
    result = audited("--json")
    assert result.exit_code == 0, result.output
    (plan,) = json.loads(result.stdout)["plans"]
    assert (plan["plan"], plan["users"], plan["calls"], plan["days"]) == ("claude-code", 2, 3, 10)
    assert plan["listed_usd"] == 0.9  # and not the cost that came with a call
    assert plan["plan_usd"] == pytest.approx(2 * 200 * 10 / MONTH)
    said = [" ".join(line.split()) for line in audited().stdout.splitlines()]
    assert "flat-rate plans, 10.0 days users calls by list by plan" in said
    assert "claude-code 2 3 $0.90 $131.51" in said


def test_what_is_not_in_the_figures_is_told() -> None:
    said = audited(model="unheard-of").stdout
    assert "1 calls of claude-code do not tell their user" in said
    assert "1 calls of claude-code have no list price" in said
    assert "have no list price" not in audited(user="ana").stdout


def test_without_the_setting_nothing_is_said_of_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMVITALS_PLANS")
    assert "flat-rate" not in audited().stdout


CALLS = st.lists(
    st.builds(
        Call,
        id=st.just("c"),
        ts=st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 30), timezones=st.just(UTC)),  # noqa: DTZ001
        model=st.just("m"),
        agent=st.sampled_from([None, "codex", "claude_code"]),
        user=st.sampled_from([None, "a", "b"]),
    ),
    max_size=8,
)


@given(CALLS.flatmap(lambda calls: st.tuples(st.just(calls), st.permutations(calls))))
def test_the_order_of_calls_does_not_matter(orders: tuple[list[Call], list[Call]]) -> None:
    both = [Plans({"codex": 30, "claude-code": 200}) for _ in orders]
    for plans, calls in zip(both, orders, strict=True):
        for call in calls:
            plans.take(call, 5)
    assert both[0].days == both[1].days
    by_name = [sorted(plans.found(), key=lambda plan: plan.name) for plans in both]
    assert by_name[0] == by_name[1]
    assert sum(plan.listed for plan in by_name[0]) == 5 * sum(call.agent is not None for call in orders[0])

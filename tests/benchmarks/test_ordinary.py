"""The benchmark of ordinary weeks: the same for a seed, as it says of itself, and its verdict is honest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.ordinary import table
from benchmarks.ordinary.company import COMPANIES
from benchmarks.ordinary.life import DAY
from benchmarks.ordinary.problems import HOURS, PROBLEMS
from benchmarks.ordinary.random_company import company
from benchmarks.ordinary.traffic import START, Traffic
from benchmarks.ordinary.trial import Found

from llmvitals.rules.engine import load_engine
from llmvitals.rules.starter_set import starter_set
from panes import PANE

ROOT = Path(__file__).parents[2]
BY_NAME = {problem.name: problem for problem in PROBLEMS}


def calls(number: int, problem: str = "", days: int = 1) -> list[dict]:
    """The calls of a company's first days; a problem begins with them."""
    traffic = Traffic(number, 101, 20_000)
    lines = [line for day in range(days) for line in traffic.day(day, BY_NAME.get(problem), 0.0)]
    return [json.loads(line) for line in lines]


def main_calls(number: int, problem: str = "", days: int = 1) -> list[dict]:
    main = COMPANIES[number].main.name
    return [call for call in calls(number, problem, days) if call["app"] == main]


@pytest.mark.parametrize("number", range(4))
def test_a_company_is_the_same_for_a_seed_and_sends_what_it_sends(number):
    day = calls(number)
    assert day == calls(number)
    assert 14_000 < len(day) < 28_000
    times = [call["ts"] / 1_000 - START for call in day]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] < DAY
    without = COMPANIES[number].without
    assert not [call for call in day if without & call.keys()]
    assert 0.003 < np.mean([call["status"] == "error" for call in day]) < 0.03


def test_random_companies_differ_and_are_the_same_for_their_numbers():
    several = [company(len(COMPANIES) + number) for number in range(6)]
    assert several == [company(len(COMPANIES) + number) for number in range(6)]
    assert len({len(one.apps) for one in several}) > 2
    for number, one in enumerate(several):
        assert sum(app.share for app in one.apps) == pytest.approx(1)
        assert {call["app"] for call in calls(len(COMPANIES) + number)} <= {app.name for app in one.apps}


def test_a_random_company_has_a_problem_if_it_has_enough_to_show_it_in_its_busy_hours():
    several = [company(len(COMPANIES) + number) for number in range(12)]
    for one in several:
        assert one.main.share == max(app.share for app in one.apps)
        busy = np.roll(one.main.hours, -one.opens)[:9]
        assert busy.mean() >= np.mean(one.main.hours)
        assert BY_NAME["errors"].happens_to(one) == (one.main.errors >= 0.005)
        assert BY_NAME["topic"].happens_to(one) == one.main.embedded
        assert BY_NAME["absence"].happens_to(one) == (len(one.apps) > 1)
    assert 0 < sum(BY_NAME["errors"].happens_to(one) for one in several) < 12


def test_there_are_twelve_problems_and_starter_rules_for_each():
    assert len(PROBLEMS) == 12
    assert sum(problem.urgent for problem in PROBLEMS) == 3
    for size in HOURS:
        names = {rule.name for rule in load_engine(starter_set(size).folder, PANE).rules.rules}
        for problem in PROBLEMS:
            assert problem.rules <= names, problem.name
    for problem in PROBLEMS:
        assert any(problem.happens_to(company) for company in COMPANIES)


def share(found: list[dict], bad) -> float:
    return float(np.mean([bad(call) for call in found]))


@pytest.mark.parametrize(
    ("problem", "number", "of", "times"),
    [
        ("errors", 1, lambda c: c["status"] == "error", 2.5),
        ("refusals", 1, lambda c: c.get("finish_reason") == "content_filter", 2),
        ("cache", 0, lambda c: c.get("cached_tokens", 0) > 0, 0.75),
        ("scores", 0, lambda c: c["scores"]["helpful"] if "scores" in c else 0, 0.875),
        ("latency", 1, lambda c: c["latency_ms"], 1.5),
        ("ttft", 0, lambda c: c.get("ttft_ms", 0), 2),
    ],
)
def test_a_problem_is_as_large_as_it_says(problem, number, of, times):
    usual, worse = (share(main_calls(number, name, 3), of) for name in ("", problem))
    assert worse / usual == pytest.approx(times, rel=0.15)


def test_problems_that_add_or_remove_calls():
    app = COMPANIES[0].main.name
    assert app not in {call["app"] for call in calls(0, "absence")}
    looping = [call for call in calls(0, "loop") if call.get("session") == "looping"]
    assert len(looping) == 600
    burnt = [call for call in calls(0, "burn") if call.get("user") == "job"]
    assert sum(call["cost_usd"] for call in burnt) == pytest.approx(24 * 160)
    fresh = {call["prompt_version"] for call in main_calls(0, "canary")}
    assert len(fresh) == 2


def test_the_verdict():
    hours = {problem.name: 1.0 for problem in PROBLEMS}
    fine = Found("shop", 101, 20_000, 4, {"A": 4}, {"B": 9}, hours, {"errors": "A"})
    assert table.verdict(table.rows([fine])).startswith("PASS: 20,000 calls a day: 1.00 false alarms")
    noisy = Found("shop", 101, 20_000, 4, {"A": 5}, {}, hours)
    assert table.verdict(table.rows([noisy])).startswith("FAIL")
    blind = Found("shop", 101, 3_000, 4, {}, {}, hours | {"cache": None})
    line = table.verdict(table.rows([blind]))
    assert line.startswith("FAIL")
    assert "11 of 12 problems in time (not cache)" in line


def test_a_stranger_runs_it(tmp_path):
    out = tmp_path / "out.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.ordinary", "--seed", "101", "--calls", "60", "--weeks", "2",
            "--company", "shop", "--quiet", "--json", str(out),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith(("PASS: 60 calls", "FAIL: 60 calls"))
    (size,) = json.loads(out.read_text())
    assert size["weeks"] == 2
    assert size["alarms_a_week"] == pytest.approx(len(size["false"]) / 2, abs=0.001)

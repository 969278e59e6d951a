"""docs/budgets.md: its rules load, and its sentences and tables are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds.budget.burn_windows import LENGTHS, scaled
from llmvitals.window import duration
from panes import MINUTE, PANE, rule_engine, vitals, walk
from spend import DAY, HOUR, moment

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")


def test_its_rules_load(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
    rules = load_engine(tmp_path, PANE).rules
    assert [rule.name for rule in rules.rules] == ["TeamMonth", "UserDay", "OneSession", "OwnRates"]


@pytest.mark.parametrize("column", range(5))
def test_the_table_of_pairs_is_what_is_scaled(column):
    _, _, *periods = [cell.strip() for cell in re.findall(r"\| of the budget \|.*", PAGE)[0].split("|")[1:-1]]
    pairs = []
    for line in re.findall(r"^\| \d+ % \|.*", PAGE, re.MULTILINE):
        _, factor, *windows = [cell.strip() for cell in line.split("|")[1:-1]]
        pairs.append((round(float(factor[:-1]) * 100), *map(duration, windows[column].split(", "))))
    assert scaled(LENGTHS[periods[column]]) == tuple(pairs)


def test_its_sentences_are_those_that_people_read(tmp_path):
    burning = "alert: A\nbudget: {limit: 720, per: month, timezone: Europe/Berlin, thresholds: [100%], burn_rate: default}"
    start = moment("2025-06-02T00:00", "Europe/Berlin")
    panes = {pane: vitals(cost=20 / 60) for pane in range(start, start + HOUR, MINUTE)}
    (burn, *_) = walk(rule_engine(tmp_path, burning), panes, start + HOUR)
    rising = "alert: A\nbudget: {limit: 500, per: month, thresholds: [100%], forecast: 80%}"
    start = moment("2025-06-01T00:00")
    panes = {pane: vitals(cost=20 / 96) for pane in range(start, start + 8 * DAY, 15 * MINUTE)}
    (forecast, *_) = walk(rule_engine(tmp_path, rising), panes, start + 8 * DAY)
    assert re.findall(r"^> (.*)", PAGE, re.MULTILINE) == [burn.note, forecast.note]

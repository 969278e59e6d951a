"""What docs/prices.md shows works: its rules load, its outcome is counted, and its bounds are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from llmvitals.backtest.replay import replay_lines
from llmvitals.price.unmetered import BYTES_A_TOKEN, FRAME
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from panes import PANE

PAGE = (Path(__file__).parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")


def shown(language: str, beginning: str) -> str:
    (block,) = (
        code
        for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        if code.startswith(beginning)
    )
    return block


def test_the_rules_load(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(shown("yaml", "groups:"))
    assert [rule.name for rule in load_engine(tmp_path, PANE).rules.rules] == ["DearTickets", "NothingSolved"]


def test_the_outcome_is_counted(tmp_path: Path) -> None:
    event = shown("json", "{").replace("\n", "")
    assert replay_lines([event.encode()], Settings(alerts=tmp_path))["totals"]["outcomes"] == 1


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"| input | `input_bytes` / {BYTES_A_TOKEN}, " in PAGE
    assert f"`input_bytes` + {FRAME}, " in PAGE

"""The pages that are made from the code are current, and hold what people look up."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from llmvitals.metrics.columns import COUNTS, MEASURES, TEXTS
from llmvitals.metrics.registry import METRICS
from llmvitals.settings import SECTIONS, Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["settings", "metrics"])
def test_it_is_current(name: str) -> None:
    current = runpy.run_path(str(DOCS / f"{name}_page.py"))["current"]()
    command = f"python docs/{name}_page.py"
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == current, f"it is not current: run {command}"


def test_the_table_of_recorded_systems_is_current() -> None:
    page = (DOCS / "integrations.md").read_text(encoding="utf-8")
    current = runpy.run_path(str(DOCS / "integrations_page.py"))["current"](page)
    assert page == current, "it is not current: run python docs/integrations_page.py"
    assert "| LangChain | call, embedding, retrieval |" in page


def test_every_setting_is_explained_under_a_section() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"| `{name}` | `LLMVITALS_{name.upper()}` |" in page
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert page.count("\n## ") == len(SECTIONS)
    assert next(iter(Settings.model_fields)) in SECTIONS
    assert "| `disorder` | `LLMVITALS_DISORDER` | `10s` | " in page


def test_every_metric_and_field_is_explained() -> None:
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    for name, metric in METRICS.items():
        assert f"| `{name}` | " in page
        assert metric.text in page
    for columns in (COUNTS, MEASURES, TEXTS):
        for measurement, fields in columns.items():
            section = page.partition(f"## {measurement}\n")[2].partition("\n## ")[0]
            assert all(f"`{field}`" in section for field in fields)
    assert "| `cost` | USD | money spent | `llm_calls.cost_usd` |" in page
    assert "| `latency_p95` | ms |" in page

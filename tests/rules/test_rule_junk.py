"""Whatever stands in a rule file in the place of whatever: it is read, or a RuleError says what is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.errors import RuleError
from llmvitals.rules.engine import load_engine
from llmvitals.ruletest import load_tests
from panes import PANE

SHIPPED = Path(__file__).parents[2] / "alerts"
FILES = {path.name: yaml.safe_load(path.read_text()) for path in sorted(SHIPPED.glob("*.yaml"))}
FILES["all.yaml"] = yaml.safe_load("""
groups:
- name: all
  labels: {severity: info}
  rules:
  - alert: B
    budget: {metric: tokens, limit: 5, per: month, timezone: UTC, by: [team, tags.a], overrides: {a/b: 3}, floor: 1,
      thresholds: [80%, 100%], burn_rate: [{factor: 6, windows: [6h, 30m]}], forecast: 80%, verdict: block, block_at: 100%}
    notify: {slack: "#a"}
  - alert: S
    budget: {limit: 5, per: session, idle: 20m}
  - alert: T
    threshold: {metric: latency_p95, above: 4s, resolve_below: 3s, where: {app: {not: {regex: "a.*"}}, user: [a, b]}}
    for: 1m
    keep_firing_for: 1m
    no_data: alert
    annotations: {summary: "{app}", runbook_url: "https://a"}
  - alert: O
    outage: {minor: 20%, major: 60%, resolve_below: 10%, errors: {not: [a]}, window: 2m, min_calls: 5}
  - alert: A2
    absence: {expect: always, window: 15m, min_calls: 5, by: [app]}
  - alert: R
    runaway: {spend: 5, same_tool: 9, signatures: {calls: 9, at_most: 2}, window: 5m, by: [key]}
""")
NAMES = [rule.name for rule in load_engine(SHIPPED, PANE).rules.rules]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10**20)
    | st.floats()
    | st.text("ab5%ms.:{}#=~ \u202e\n", max_size=8)
    | st.sampled_from(
        ["4s", "80%", "default", "off", "team", "cost", "2026-01-05", "...", "#a", "severity=info"]
    )
    | st.dates()
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(data: object, path: tuple = ()) -> list[tuple]:
    """The paths of all values."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in pairs for place in places(value, (*path, key)))]


def replaced(data: object, path: tuple, junk: object) -> object:
    """The same with something else at a path."""
    if not path:
        return junk
    key, *rest = path
    if isinstance(data, dict):
        return {k: replaced(v, tuple(rest), junk) if k == key else v for k, v in data.items()}
    return [replaced(v, tuple(rest), junk) if n == key else v for n, v in enumerate(data)]


@settings(max_examples=150)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_junk_is_told(name, data):
    whole = FILES[name]
    path = data.draw(st.sampled_from(places(whole)))
    changed = replaced(whole, path, data.draw(JUNK))
    error = None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(yaml.safe_dump(changed, allow_unicode=True))
        try:
            if name.endswith("_test.yaml"):
                load_tests(Path(folder), NAMES, PANE)
            else:
                load_engine(Path(folder), PANE)
        except RuleError as caught:
            error = caught
    assert error is None or (error.line > 0 and error.column > 0 and error.file.endswith(name))

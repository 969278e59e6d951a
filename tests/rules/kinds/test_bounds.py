"""What the limit of an alert is travels with it; alerts that were written before it did still read."""

from __future__ import annotations

import json

import msgspec
import pytest

from llmvitals.incidents.group import grouped
from llmvitals.notify.figure import figure, metric
from llmvitals.record.alert import Alert
from llmvitals.routing import Route
from llmvitals.rules.kinds import KINDS


def written(kind: str, **more: object) -> dict[str, object]:
    """An alert as it lies on the topic, without its bound."""
    fields: dict[str, object] = {
        "rule": "A", "kind": kind, "status": "firing", "severity": "warning", "fingerprint": "f",
        "episode": "f-1", "group": "g/A", "labels": {"team": "search"}, "metric": "cost", "unit": "usd",
        "value": 96.0, "limit": 100.0, "window": "month", "since": 1, "at": 1,
    }  # fmt: skip
    return {**fields, **more}


@pytest.mark.parametrize("kind", [*KINDS, "a kind of a later version"])
def test_an_old_alert_has_the_bound_of_its_kind(kind: str):
    alert = Alert.decode(json.dumps(written(kind)).encode())
    assert alert.bound == (KINDS[kind].bound if kind in KINDS else "limit")
    assert Alert.decode(alert.encode()) == alert
    assert msgspec.convert(written(kind), Alert) == alert


@pytest.mark.parametrize(
    ("bound", "text", "footer", "matchers"),
    [
        ("budget", "$96 of $100 · 96 %", "Cost per month", ['rule="A"', 'team="search"']),
        ("usual", "$96 · usual $100", "Cost, month", ['rule="A"']),
        ("limit", "$96 · limit $100", "Cost, month", ['rule="A"']),
    ],
)
def test_messages_and_groups_go_by_the_bound_of_any_kind(bound, text, footer, matchers):
    alert = Alert.decode(json.dumps(written("toy", bound=bound)).encode())
    assert figure(alert) == text
    assert metric(alert) == footer
    assert [str(matcher) for matcher in grouped(alert, Route(), "").matchers] == matchers

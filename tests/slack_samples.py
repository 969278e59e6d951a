"""Cards of every kind that a message can be about, for snapshots, pictures and tests."""

from __future__ import annotations

from typing import Any

from llmvitals.record.alert import Alert, Heavy

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = 1_735_732_800 * SECOND  # 2025-01-01 12:00 UTC


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule": "TeamMonthlyBudget",
        "kind": "budget",
        "status": "firing",
        "severity": "critical",
        "fingerprint": "0123456789abcdef",
        "episode": "0123456789abcdef-1",
        "group": "budgets",
        "labels": {"team": "search", "environment": "prod"},
        "metric": "cost",
        "unit": "usd",
        "value": 1284.2,
        "limit": 2000,
        "level": "50%",
        "window": "month",
        "since": NOON,
        "at": NOON,
        "summary": "search has used 64 % of $2,000",
        "annotations": {"runbook_url": "https://wiki.example/budgets?team=search&page=1"},
        "heaviest": [
            Heavy(kind="user", name="alice", calls=1203, cost_nano=212_100_000_000, tokens=3_400_000),
            Heavy(kind="model", name="gpt-5", calls=900, cost_nano=98_500_000_000, tokens=950),
        ],
        "exemplars": ["4bf92f3577b34da6a3ce929d0e0e4736", "call-17"],
    }
    return Alert(**(fields | changes))

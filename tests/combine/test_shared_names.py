"""Partitions of one process share the codes of names, and send what each of them alone would send."""

from __future__ import annotations

import random

import pytest

from brute import SECOND, START, event, logged, plan, stage
from llmvitals.combine import Combine, Interners
from llmvitals.record.log import Logged


def log(seed: int) -> list[Logged]:
    """Calls of many users, in an order of their own."""
    dice = random.Random(seed)
    calls = [
        event(
            n, START + n * SECOND // 4, app=dice.choice("abc"), model=dice.choice("mn"),
            session=f"s{dice.randrange(40)}", user=f"u{dice.randrange(90)}", latency_ms=dice.randrange(100),
        )
        for n in range(300)
    ]  # fmt: skip
    return logged((START + n * SECOND // 4, call) for n, call in enumerate(calls))


@pytest.mark.parametrize("full", [20, 400_000])
@pytest.mark.parametrize("most", [5, 1_000])
def test_partitions_that_share_names_send_the_same_bytes_as_alone(monkeypatch, full, most):
    monkeypatch.setattr("llmvitals.combine.interner.FULL", full)
    monkeypatch.setattr("llmvitals.combine.open_panes.WAITING", 50)
    made = plan(max_series=most, shards=3)
    shared = Interners(made)
    logs = {f"calls/{number}": log(number) for number in range(2)}
    together = {
        source: Combine(made, source=source, sources={"calls": 1}, parts={}, beginning=0, interners=shared)
        for source in logs
    }
    alone = {source: stage(made, source=source) for source in logs}
    for at in range(0, 300, 30):
        for source, records in logs.items():
            batch = records[at : at + 30]
            assert together[source].apply(batch) == alone[source].apply(batch)
            assert together[source].flush() == alone[source].flush()
    for source in logs:
        assert together[source].finish() == alone[source].finish()

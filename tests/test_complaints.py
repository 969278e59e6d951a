"""What people complained about elsewhere (the end of ALERTS.md), each a test by its number."""

from __future__ import annotations

import pytest

from panes import PANE, told, vitals, walk, watch

FIRST = 1_700_000_000_000_000 // PANE // 6 * 6


@pytest.mark.parametrize("calls", [1, 2, 19])
@pytest.mark.parametrize("mode", ["ok", "keep", "alert", "no_data"])
def test_p99_of_two_calls_pages_nobody(tmp_path, calls, mode):
    """Without a word about min_calls in the rule; and the two calls alone are no lack of data either."""
    watched = watch(tmp_path, f"alert: Slow\nthreshold: {{metric: latency_p99, above: 4s}}\nno_data: {mode}")
    slow = vitals(ms=(60_000.0,) * calls)
    assert walk(watched, {FIRST: slow, FIRST + 500: slow}, FIRST + 20_000) == []


def test_langfuse_16178_a_monitor_that_can_not_say_says_so(tmp_path):
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 1m}\nfor: 1m\nno_data: no_data"
    well = vitals(ms=(100.0,) * 20)
    (stuck,) = walk(watch(tmp_path, rule), {FIRST: well, FIRST + 1: well}, FIRST + 60)
    assert (stuck.status, stuck.level, stuck.at // PANE - FIRST) == ("firing", "no data", 8 + 6)
    assert stuck.summary == "Slow can't say: 0 calls within 1m, 20 are needed: all calls"


def test_langfuse_16178_a_pending_alert_is_not_stuck_when_calls_stop(tmp_path):
    """Time alone takes it on: it fires when `for` is over, though nobody calls any more."""
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 5m}\nfor: 1m"
    slow = vitals(ms=(60_000.0,) * 20)
    assert told(walk(watch(tmp_path, rule), {FIRST: slow}, FIRST + 60)) == [
        ("firing", "", FIRST + 6), ("resolved", "", FIRST + 30),
    ]  # fmt: skip

"""Readings of detectors."""

from __future__ import annotations

from llmvitals.record.reading import Deferred, Reading, Stand


def test_deferred_stands_are_computed_when_they_are_read_and_once():
    asked = []

    def compute() -> list[Stand]:
        asked.append(1)
        return [Stand(1, {"a": 1.0}), Stand(2, {"a": 2.0})]

    reading = Reading(0, "clear", 0.0, 1.0, stands=Deferred(compute))
    assert not asked
    assert [stand.end for stand in reading.stands] == [1, 2]
    assert (len(reading.stands), reading.stands[1].end, reading.stands[:1]) == (2, 2, [Stand(1, {"a": 1.0})])
    assert len(asked) == 1

"""When an incident is looked at again."""

from __future__ import annotations

import tracemalloc

from llmvitals.incidents.agenda import Agenda
from llmvitals.window import FOREVER, HOUR, SECOND


def test_what_is_due_comes_once_the_oldest_first_and_what_is_put_off_later() -> None:
    agenda = Agenda()
    for name, time in [("a", 3), ("b", 1), ("c", 2), ("b", 9), ("d", 2), ("d", FOREVER)]:
        agenda.put(name, time)
    assert list(agenda.due(5, 1)) == ["c"]
    assert list(agenda.due(5, 10)) == ["a"]
    assert list(agenda.due(9, 10)) == ["b"]
    assert list(agenda.due(FOREVER - 1, 10)) == []


def test_an_incident_that_changes_each_second_takes_no_more_room_than_one() -> None:
    """Each time it is looked at, and put off until it is to be repeated, hours later."""
    agenda = Agenda()
    tracemalloc.start()
    try:
        for second in range(4 * 3_600):
            agenda.put("incident", second * SECOND)
            assert list(agenda.due(second * SECOND, 10)) == ["incident"]
            agenda.put("incident", 4 * HOUR)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 400_000
    assert list(agenda.due(4 * HOUR, 10)) == ["incident"]

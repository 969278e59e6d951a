"""Finds calls that two instrumentors of one process report, so that they are published once.

A framework's handler around a client that is wrapped reports what the client has reported before. The inner
report counts. combine drops such copies as well, by the id of the answer, but only within a partition.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_MOST: Final = 10_000
"""Answers that are remembered, the newest."""
_lock: Final = threading.Lock()
_answers: Final[OrderedDict[tuple[int, str], Report]] = OrderedDict()


class Report(NamedTuple):
    """A call as one instrumentor reports it. began, ended: seconds of `time.perf_counter`."""

    operation: str
    response_id: str | None
    instrumentor: str
    began: float
    ended: float


@dataclass(slots=True)
class CallsInside:
    """The calls of a model that began inside of an observation."""

    _ids: dict[str, set[str | None]] = field(default_factory=dict)
    """Operation → ids of the answers so far; None: a call whose answer has none."""

    def begin(self, operation: str) -> None:
        """Note that a call has begun."""
        self._ids.setdefault(operation, set())

    def add(self, report: Report) -> None:
        """Note a call that has ended."""
        self._ids.setdefault(report.operation, set()).add(report.response_id)

    def have(self, outer: Report) -> bool:
        """Whether the observation is only a wrapper of one of them.

        Where both answers have an id, the ids decide.
        """
        ids = self._ids.get(outer.operation)
        return ids is not None and (outer.response_id is None or outer.response_id in ids or None in ids)


def seen(publisher: object, report: Report) -> bool:
    """Whether another instrumentor has reported this answer to the publisher, within the time of this call.

    If not, the report is remembered. The second report of one instrumentor is another call, such as one that
    a cache answered.
    """
    if report.response_id is None:
        return False
    key = id(publisher), report.response_id
    with _lock:
        before = _answers.get(key)
        if before and before.instrumentor != report.instrumentor and before.ended >= report.began:
            return True
        _answers[key] = report
        if len(_answers) > _MOST:
            _answers.popitem(last=False)
    return False

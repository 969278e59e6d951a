"""The outcome of a backtest as plain data for programs, and how its values are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.backtest.episodes import differences
from llmvitals.metrics.quantity import amount
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.backtest.episodes import Episode, Record
    from llmvitals.backtest.run import Outcome

_TIMES: Final = ("begin", "end", "first", "last")


def plain(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON has it: times in ISO 8601, lengths in seconds."""
    seen = outcome.span
    found = [
        {
            "rules": str(verdict.folder),
            "records": [_plain(record) for record in verdict.records],
            "episodes": [_plain(episode) for episode in verdict.episodes],
        }
        for verdict in outcome.verdicts
    ]
    answer: dict[str, Any] = {
        "begin": iso(seen.begin) if seen else None,
        "end": iso(seen.end) if seen else None,
        "calls": outcome.calls,
        "seconds": round(outcome.seconds, 3),
        **found[0],
    }
    if len(found) > 1:
        answer["against"] = found[1]
        answer["difference"] = {
            "rules": [msgspec.to_builtins(change) for change in differences(outcome.pairs)],
            "episodes": [
                {
                    "ours": pair.ours and _plain(pair.ours),
                    "theirs": pair.theirs and _plain(pair.theirs),
                }
                for pair in outcome.pairs
                if not pair.same
            ],
        }
    return answer


def labelled(labels: Mapping[str, str]) -> str:
    """A series as people read it.

    >>> labelled({"team": "search", "model": "gpt-5"})
    'team search, model gpt-5'
    """
    return ", ".join(f"{name} {wanted}" for name, wanted in labels.items() if name != "severity")


def when(micros: int | None, *, seconds: bool = False) -> str:
    """A minute (or second) in UTC, without the year."""
    form = "%b %d %H:%M:%S" if seconds else "%b %d %H:%M"
    return "" if micros is None else datetime.fromtimestamp(micros / SECOND, UTC).strftime(form)


def value(number: float | None, unit: Any) -> str:
    """A number in a unit that may be missing."""
    return "–" if number is None else amount(number, unit or "count")


def _plain(thing: Record | Episode) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(thing)
    for name in _TIMES:
        if fields.get(name) is not None:
            fields[name] = iso(fields[name])
    for name in ("total", "median"):
        if name in fields:
            fields[f"{name}_s"] = fields.pop(name) / SECOND
    return fields


def iso(micros: int) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(micros / SECOND, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

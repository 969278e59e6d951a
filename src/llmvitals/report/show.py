"""Past alerts and the report of rules, as plain data for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals import csvtext
from llmvitals.backtest.show import iso
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.report.run import Report
    from llmvitals.report.summary import RuleSummary
    from llmvitals.store.alert_history import Change

COLUMNS: Final = (
    "time", "rule", "state", "level", "value", "limit", "unit", "seconds", "by", "severity", "kind", "facet",
    "fingerprint", "episode", "labels",
)  # fmt: skip
"""Of CSV and JSON."""


def history_json(found: Sequence[Change]) -> str:
    """A list of objects."""
    return json.dumps([_row(change) for change in found], ensure_ascii=False, indent=1)


def history_csv(found: Sequence[Change]) -> str:
    """A line for the names and one for each change; labels are JSON."""
    rows = ({**_row(change), "labels": json.dumps(change.labels, ensure_ascii=False)} for change in found)
    return csvtext.table([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])


def report_plain(found: Report) -> dict[str, Any]:
    """The report as JSON has it: times in ISO 8601, lengths in seconds."""
    return {
        "begin": iso(found.span.begin),
        "end": iso(found.span.end),
        "timezone": found.zone,
        "alerts": len(found.alerts),
        "rules": [_line(line) for line in found.lines],
        "never_fired": [line.record.rule for line in found.lines if not line.record.fired],
        "noisiest": [
            {"rule": noisy.rule, "labels": dict(noisy.labels), "fired": noisy.fired}
            for noisy in found.noisiest
        ],
        "advice": [msgspec.to_builtins(advice) for advice in found.advice],
        "thresholds": [msgspec.to_builtins(level) for level in found.levels],
    }


def _line(line: RuleSummary) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(line.record)
    fields |= {f"{name}_s": fields.pop(name) / SECOND for name in ("total", "median")}
    fields |= {name: None if fields[name] is None else iso(fields[name]) for name in ("first", "last")}
    for name, found in (("acknowledge", line.acknowledge), ("resolve", line.resolve)):
        fields[name] = found and {
            "count": found.count, "median_s": found.median / SECOND, "p90_s": found.p90 / SECOND,
        }  # fmt: skip
    return fields | {"night": line.night}


def _row(change: Change) -> dict[str, Any]:
    fields = {**msgspec.to_builtins(change), "time": iso(change.at)}
    return {name: fields[name] for name in COLUMNS}

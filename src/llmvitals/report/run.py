"""Reads what `alerts history` and `alerts report` show, and makes plain data of it for programs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from llmvitals import csvtext
from llmvitals.backtest.episodes import Span
from llmvitals.backtest.show import iso
from llmvitals.errors import ConfigError
from llmvitals.report import summary
from llmvitals.report.advice import Advice, level_of, of_times
from llmvitals.report.unpriced import unpriced_models
from llmvitals.rules.engine import load_engine
from llmvitals.store.query import changes
from llmvitals.store.question import moment
from llmvitals.store.registry import configured
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmvitals.report.advice import Level
    from llmvitals.report.summary import Noisy, PastAlert, RuleSummary
    from llmvitals.report.unpriced import UnpricedModel
    from llmvitals.settings import Settings
    from llmvitals.store.query import Change

    Clock = Callable[[], float]

COLUMNS: Final = (
    "time", "rule", "state", "level", "value", "limit", "unit", "seconds", "by", "severity", "kind", "facet",
    "fingerprint", "episode", "labels",
)  # fmt: skip
"""Of CSV and JSON."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report about a span.

    zone: the time zone that night is in. unpriced: the models whose calls of the span have no price.
    """

    span: Span
    zone: str
    alerts: Sequence[PastAlert]
    lines: Sequence[RuleSummary]
    noisiest: Sequence[Noisy]
    advice: Sequence[Advice]
    levels: Sequence[Level]
    unpriced: Sequence[UnpricedModel] = ()


async def history(
    settings: Settings, since: str, rule: str | None = None, *, clock: Clock = time.time
) -> list[Change]:
    """The changes since a duration ago (`7d`) or a time, of one rule or of all, in the order of time.

    Raises ConfigError for a wrong `since` and where no store is set, SinkError when it can't be read.
    """
    span = _span(since, clock)
    found = await changes(settings, span.begin, span.end)
    return [change for change in found if change.state != "update" and rule in (None, change.rule)]


async def report(settings: Settings, since: str, zone: str = "UTC", *, clock: Clock = time.time) -> Report:
    """The report since a duration ago or a time, about the rules of the settings' folder.

    Raises as `history`, RuleError for the rules, and ConfigError for an unknown zone.
    """
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"--timezone: {zone!r} is no time zone: write one such as Europe/Berlin") from None
    span = _span(since, clock)
    rules = load_engine(settings.alerts, duration(settings.pane)).rules.rules
    alerts = summary.past_alerts(await changes(settings, span.begin, span.end))
    episodes = [alert.episode for alert in alerts]
    advice = [
        piece
        for rule in rules
        for piece in of_times(rule, [episode for episode in episodes if episode.rule == rule.name], span)
    ]
    compared = [await level_of(settings, rule, span) for rule in rules]
    return Report(
        span=span,
        zone=zone,
        alerts=alerts,
        lines=summary.lines([rule.name for rule in rules], alerts, span, place),
        noisiest=summary.noisiest(alerts),
        advice=advice,
        levels=[level for level in compared if level is not None],
        unpriced=await _unpriced(settings, span),
    )


async def _unpriced(settings: Settings, span: Span) -> list[UnpricedModel]:
    store = next((store for store in configured(settings)[:1] if store.exists()), None)
    return await unpriced_models(settings, store, (span.begin, span.end), "1d") if store else []


def _span(since: str, clock: Clock) -> Span:
    now = int(clock() * SECOND)
    try:
        return Span(moment(since, now), now + 1)
    except ConfigError as error:
        raise ConfigError(f"--since: {error}") from None


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
        "unpriced": [msgspec.to_builtins(model) for model in found.unpriced],
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

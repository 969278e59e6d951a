"""Reads what `alerts history` and `alerts report` show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from llmvitals.backtest.episodes import Span
from llmvitals.errors import ConfigError
from llmvitals.report import levels, summary
from llmvitals.report.advice import Advice, of_times
from llmvitals.rules.engine import load_engine
from llmvitals.store.alert_history import changes
from llmvitals.store.question import moment
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmvitals.report.levels import Level
    from llmvitals.report.summary import Noisy, PastAlert, RuleSummary
    from llmvitals.settings import Settings
    from llmvitals.store.alert_history import Change

    Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Report:
    """The report about a span. zone: the time zone that night is in."""

    span: Span
    zone: str
    alerts: Sequence[PastAlert]
    lines: Sequence[RuleSummary]
    noisiest: Sequence[Noisy]
    advice: Sequence[Advice]
    levels: Sequence[Level]


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
    compared = [await levels.of(settings, rule, span) for rule in rules]
    return Report(
        span=span,
        zone=zone,
        alerts=alerts,
        lines=summary.lines([rule.name for rule in rules], alerts, span, place),
        noisiest=summary.noisiest(alerts),
        advice=advice,
        levels=[level for level in compared if level is not None],
    )


def _span(since: str, clock: Clock) -> Span:
    now = int(clock() * SECOND)
    try:
        return Span(moment(since, now), now + 1)
    except ConfigError as error:
        raise ConfigError(f"--since: {error}") from None

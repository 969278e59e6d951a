"""`alerts history` and `alerts report`, from the store to what is shown."""

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
    from llmvitals.report.summary import Noisy, RuleSummary, Told
    from llmvitals.settings import Settings
    from llmvitals.store.alert_history import Change

    Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say about a span; told: its episodes; zone: where night is."""

    span: Span
    zone: str
    told: Sequence[Told]
    lines: Sequence[RuleSummary]
    noisiest: Sequence[Noisy]
    advice: Sequence[Advice]
    levels: Sequence[Level]


async def history(
    settings: Settings, since: str, rule: str | None = None, *, clock: Clock = time.time
) -> list[Change]:
    """The changes since a duration ago (`7d`) or a time, of one rule or of all, in the order of time.

    Raises ConfigError for a wrong `since` and where no store is set, SinkError when the store says no.
    """
    span = _span(since, clock)
    found = await changes(settings, span.begin, span.end)
    return [change for change in found if rule is None or change.rule == rule]


async def report(settings: Settings, since: str, zone: str = "UTC", *, clock: Clock = time.time) -> Report:
    """Everything about the alerts since then, and the rules of the settings' folder against it.

    Raises as `history`, RuleError for the rules, and ConfigError for an unknown zone.
    """
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"--timezone: {zone!r} is no time zone: write one such as Europe/Berlin") from None
    span = _span(since, clock)
    rules = load_engine(settings.alerts, duration(settings.pane)).rules.rules
    told = summary.told(await changes(settings, span.begin, span.end))
    episodes = [one.episode for one in told]
    advice = [
        piece
        for rule in rules
        for piece in of_times(rule, [one for one in episodes if one.rule == rule.name], span)
    ]
    found = [await levels.of(settings, rule, span) for rule in rules]
    return Report(
        span=span,
        zone=zone,
        told=told,
        lines=summary.lines([rule.name for rule in rules], told, span, place),
        noisiest=summary.noisiest(told),
        advice=advice,
        levels=[one for one in found if one is not None],
    )


def _span(since: str, clock: Clock) -> Span:
    now = int(clock() * SECOND)
    try:
        return Span(moment(since, now), now + 1)
    except ConfigError as error:
        raise ConfigError(f"--since: {error}") from None

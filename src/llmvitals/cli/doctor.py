"""Checks everything that the worker needs: `llmvitals doctor`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals import topics
from llmvitals.cli.newest_events import NewestEvents
from llmvitals.errors import ConfigError, LlmvitalsError
from llmvitals.metrics.columns import CARDINALITY
from llmvitals.notify.protocol import Do
from llmvitals.notify.slack.buttons import opened
from llmvitals.notify.slack.settings import SlackSettings
from llmvitals.pipeline import Pipeline
from llmvitals.report.unpriced import unpriced_models
from llmvitals.runtime.kafka.connect import find_topics
from llmvitals.runtime.kafka.past_calls import newest_call, newest_records
from llmvitals.score import ScorerWorker
from llmvitals.store.registry import configured
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llmvitals.report.unpriced import UnpricedModel
    from llmvitals.scorers import ScorerSetting
    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Store

_NO_STORE: Final = "unknown: no store is there yet"
_LISTED: Final = 5
"""Models that are named, those with the most calls."""
NEWEST: Final = 300
"""Records of each partition that are read."""
CLOCK_SKEW: Final = 5.0
"""Seconds that this clock may be behind Kafka's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A check: its subject, its state, what was found, and what to do if it is not fine."""

    what: str
    state: Literal["fine", "warning", "wrong"]
    found: str
    cure: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Return all findings, in the order in which to repair them. Nothing is written anywhere."""
    before = {"rules": _rules, "topics": _topics, "clock": _clock, "events": _events}
    after = {"names": _names, "prices": _prices, "slack": _slack}
    if settings.text == "score":
        after["scorers"] = _scorers
    first, stores, last = await asyncio.gather(
        _examined_all(before, settings), _stores(settings), _examined_all(after, settings)
    )
    return [*first, *stores, *last]


async def _examined_all(
    checks: Mapping[str, Callable[[Settings], Awaitable[Finding]]], settings: Settings
) -> list[Finding]:
    return await asyncio.gather(*(_examined(what, check(settings)) for what, check in checks.items()))


async def _examined(what: str, check: Awaitable[Finding]) -> Finding:
    try:
        return await check
    except LlmvitalsError as error:
        return _failed(what, error)


def _failed(what: str, error: LlmvitalsError) -> Finding:
    return Finding(what, "wrong", str(error), "as it says")


async def _rules(settings: Settings) -> Finding:
    rules = Pipeline.of(settings, 1, settings.sources).engine.rules
    count = f"{len(rules.rules)} rules in {settings.alerts}"
    if rules.warnings:
        return Finding(
            "rules", "warning", f"{count}; {'; '.join(rules.warnings)}", "see alerts/ for examples"
        )
    return Finding("rules", "fine", count)


async def _topics(settings: Settings) -> Finding:
    plan = await topics.plan(settings)
    if plan.create:
        missing = ", ".join(topic.name for topic in plan.create)
        return Finding(
            "topics", "wrong", f"missing at {settings.brokers}: {missing}", "llmvitals topics apply"
        )
    if plan:
        return Finding("topics", "warning", str(plan), "llmvitals topics apply")
    return Finding("topics", "fine", f"all {plan.declared} at {settings.brokers}")


async def _clock(settings: Settings) -> Finding:
    """Compare Kafka's time stamp of the newest call with this clock; it must not lie in the future."""
    await find_topics(settings, settings.sources)
    newest = await newest_call(settings)
    if newest is None:
        return Finding("clock", "warning", f"no call yet on {', '.join(settings.sources)}", "send one")
    ahead = newest / 1_000 - time.time()
    if ahead > CLOCK_SKEW:
        return Finding(
            "clock",
            "wrong",
            f"Kafka's clock is {ahead:.0f} s ahead of this one",
            "synchronize both clocks by NTP",
        )
    return Finding("clock", "fine", f"the newest call came {-ahead:,.0f} s ago by Kafka's clock")


async def _events(settings: Settings) -> Finding:
    """Read the newest records: what of them is not counted, and which models have no price."""
    await find_topics(settings, settings.sources)
    newest = await newest_records(settings, NEWEST)
    events = await asyncio.to_thread(NewestEvents.of, newest, settings)
    troubles = list(events.troubles())
    what = f"of the newest {events.records:,} records, with {events.calls:,} calls"
    if not events.records:
        return Finding("events", "fine", "there are none yet")
    if not troubles:
        return Finding("events", "fine", f"{what}, all are read and have known models")
    found, cures = zip(*troubles, strict=True)
    return Finding("events", "warning", f"{what}: {'; '.join(found)}", "; ".join(cures))


async def _stores(settings: Settings) -> list[Finding]:
    """Return the check of each configured store."""
    try:
        stores = configured(settings)
    except LlmvitalsError as error:
        return [_failed("store", error)]
    if not stores:
        advice = "set LLMVITALS_INFLUX_URL or LLMVITALS_SQLITE"
        return [Finding("store", "warning", "none is set: alerts work, but no metrics are kept", advice)]
    return await asyncio.gather(*(_examined("store", _store(store)) for store in stores))


async def _store(store: Store) -> Finding:
    check = await store.check()
    return Finding("store", check.state, check.found, check.cure)


def _first_store(settings: Settings) -> Store | None:
    """The store that is asked, if it is there."""
    return next((store for store in configured(settings)[:1] if store.exists()), None)


async def _names(settings: Settings) -> Finding:
    """Return the views that exceeded their limit of series today or yesterday."""
    what = "names"
    if (store := _first_store(settings)) is None:
        return Finding(what, "fine", _NO_STORE)
    now = time.time_ns() // 1_000
    views: dict[str, list[Mapping[str, Any]]] = {}
    for point in await store.points(CARDINALITY, now - 2 * DAY, now + DAY):
        views.setdefault(str(point.fields["name"]), []).append(point.fields)
    if not views:
        return Finding(what, "fine", "no view has more series than it may have")
    cut = [
        f"{view}: {sum(fields['cut'] for fields in shards):,}, such as {shards[0]['examples']}"
        for view, shards in sorted(views.items())
    ]
    cure = (
        "stop what sends the names, or raise LLMVITALS_MAX_SERIES (sessions and users: LLMVITALS_MAX_WATCHED)"
    )
    return Finding(what, "warning", f"since yesterday counted in _other, by view: {'; '.join(cut)}", cure)


async def _prices(settings: Settings) -> Finding:
    """Return the models whose calls of the last day had no price or were not metered, and why."""
    what = "prices"
    if (store := _first_store(settings)) is None:
        return Finding(what, "fine", _NO_STORE)
    now = time.time_ns() // 1_000
    models = await unpriced_models(settings, store, (now - DAY, now))
    if not models:
        return Finding(what, "fine", "every call of the last day is metered and has a price")
    named = "; ".join(map(_without_price, models[:_LISTED]))
    more = f"; {len(models) - _LISTED:,} more models" if len(models) > _LISTED else ""
    return Finding(
        what,
        "warning",
        f"calls of the last day without a price or not metered: {named}{more}",
        "give the prices of models and of their service tiers in LLMVITALS_PRICES (llmvitals prices show "
        "MODEL tells what is known); let whoever sends the calls send the tokens of input and output "
        "(of streams: stream_options.include_usage)",
    )


def _without_price(model: UnpricedModel) -> str:
    """A model, its calls without a price, and why."""
    why = [f"{name} {count:,}" for name, count in model.reasons.items()]
    why += [f"nearest known: {model.nearest}"] if model.nearest else []
    why += [model.billed] if model.billed else []
    reasons = f" ({', '.join(why)})" if why else ""
    return f"{model.name} {model.unpriced:,} of {model.calls:,}{reasons}"


async def _scorers(settings: Settings) -> Finding:
    """Load each scorer, and let it score a sentence; not one that is sampled, because that may cost money."""
    if not settings.scorers:
        return Finding(
            "scorers", "warning", "texts may be read, but there is no scorer", "set LLMVITALS_SCORERS"
        )
    return Finding(
        "scorers",
        "fine",
        "; ".join([await asyncio.to_thread(_tried, setting) for setting in settings.scorers]),
    )


def _tried(setting: ScorerSetting) -> str:
    scorer = ScorerWorker(setting, lambda *_: None)
    try:
        scorer.open()
        summary = f"{setting.scorer} gives {scorer.gives} of the {scorer.of}"
        if setting.sample < 1:
            return f"{summary} (not tried)"
        if scorer.tried("Thank you, that was helpful.") is None:
            raise ConfigError(f"{setting.scorer} loads, but does not score: {scorer.trouble}")
        return summary
    finally:
        scorer.close()


async def _slack(settings: Settings) -> Finding:
    own = SlackSettings.of(settings)
    if own is None:
        return Finding("slack", "warning", "none is set: alerts are printed", "set LLMVITALS_SLACK_TOKEN")
    notifier = own.made()
    await notifier.open()
    try:
        answer = await notifier.check()
    finally:
        await notifier.close()
    if answer.do is Do.DONE:
        where = "the webhook" if own.token is None else own.channel
        if own.app_token is not None:
            buttons, cure = await opened(own.app_token.get_secret_value(), own.api_url)
            if buttons.do is not Do.DONE:
                return Finding("slack", "warning", f"alerts go to {where}; buttons: {buttons.code}", cure)
        return Finding("slack", "fine", f"accepted; alerts go to {where}")
    return Finding("slack", "wrong", answer.code, answer.advice)

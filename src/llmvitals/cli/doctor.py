"""`llmvitals doctor`: everything that the worker needs, looked at one by one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals import topics
from llmvitals.errors import ConfigError, LlmvitalsError
from llmvitals.metrics.columns import CARDINALITY
from llmvitals.notify.protocol import chosen
from llmvitals.notify.slack.answer import Do
from llmvitals.notify.slack.buttons import opened
from llmvitals.pipeline import Pipeline
from llmvitals.runtime.kafka.connect import find_topics
from llmvitals.runtime.kafka.past_calls import newest_call
from llmvitals.score import ScorerWorker
from llmvitals.store.registry import configured, store_reader
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llmvitals.scorers import ScorerSetting
    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Store

CLOCK_SKEW: Final = 5.0
"""Seconds that our clock may be behind Kafka's before it is worth a word."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not fine."""

    what: str
    state: Literal["fine", "warning", "wrong"]
    found: str
    cure: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which one would mend them. Nothing is written anywhere."""
    before = {"rules": _rules, "topics": _topics, "clock": _clock}
    after = {"names": _names, "slack": _slack}
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
    rules = Pipeline.of(settings, 1, settings.sources).watch.rules
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
    """The newest call's Kafka time stamp against our clock: a time that is yet to come says who is wrong."""
    await find_topics(settings, settings.sources)
    newest = await newest_call(settings)
    if newest is None:
        return Finding("clock", "warning", f"no call yet on {', '.join(settings.sources)}", "send one")
    ahead = newest / 1_000 - time.time()
    if ahead > CLOCK_SKEW:
        return Finding(
            "clock", "wrong", f"Kafka's clock is {ahead:.0f} s ahead of this one", "set both by NTP"
        )
    return Finding("clock", "fine", f"the newest call came {-ahead:,.0f} s ago by Kafka's clock")


async def _stores(settings: Settings) -> list[Finding]:
    """What each configured store says of itself."""
    try:
        stores = configured(settings)
    except LlmvitalsError as error:
        return [_failed("store", error)]
    if not stores:
        advice = "set LLMVITALS_INFLUX_URL or LLMVITALS_SQLITE"
        return [Finding("store", "warning", "none: alerts only", advice)]
    return await asyncio.gather(*(_examined("store", _store(store)) for store in stores))


async def _store(store: Store) -> Finding:
    check = await store.check()
    return Finding("store", check.state, check.found, check.cure)


async def _names(settings: Settings) -> Finding:
    """The views that had more names than they may have, today or yesterday by the clock."""
    what = "names"
    if not configured(settings) or not (store := store_reader(settings)).exists():
        return Finding(what, "fine", "unknown: no store is there yet")
    now = time.time_ns() // 1_000
    views: dict[str, list[Mapping[str, Any]]] = {}
    for point in await store.points(CARDINALITY, now - 2 * DAY, now + DAY):
        views.setdefault(str(point.fields["name"]), []).append(point.fields)
    if not views:
        return Finding(what, "fine", "every view has fewer than it may have")
    cut = [
        f"{view}: {sum(fields['cut'] for fields in shards):,}, such as {shards[0]['examples']}"
        for view, shards in sorted(views.items())
    ]
    cure = "stop who sends them, or raise LLMVITALS_MAX_SERIES (for sessions and users LLMVITALS_MAX_WATCHED)"
    return Finding(what, "warning", f"since yesterday counted in _other, by view: {'; '.join(cut)}", cure)


async def _scorers(settings: Settings) -> Finding:
    """Each of them loaded, and given a sentence but for a sampled one, which may be dear."""
    if not settings.scorers:
        return Finding("scorers", "warning", "texts may be read, and nobody does", "set LLMVITALS_SCORERS")
    return Finding(
        "scorers", "fine", "; ".join([await asyncio.to_thread(_tried, one) for one in settings.scorers])
    )


def _tried(setting: ScorerSetting) -> str:
    bench = ScorerWorker(setting, lambda *_: None)
    try:
        bench.open()
        told = f"{setting.scorer} gives {bench.gives} of the {bench.of}"
        if setting.sample < 1:
            return f"{told} (not asked)"
        if bench.tried("Thank you, that was helpful.") is None:
            raise ConfigError(f"{setting.scorer} loads, and does not score: {bench.trouble}")
        return told
    finally:
        bench.close()


async def _slack(settings: Settings) -> Finding:
    backend = chosen(settings)
    await backend.open()
    try:
        answer = await backend.check()
    finally:
        await backend.close()
    if settings.slack_token is None and settings.slack_webhook is None:
        return Finding("slack", "warning", "none is set: alerts are printed", "set LLMVITALS_SLACK_TOKEN")
    if answer.do is Do.DONE:
        where = "the webhook" if settings.slack_token is None else settings.slack_channel
        if settings.slack_app_token is not None:
            heard, cure = await opened(settings)
            if heard.do is not Do.DONE:
                return Finding("slack", "warning", f"alerts go to {where}; buttons: {heard.code}", cure)
        return Finding("slack", "fine", f"accepted; alerts go to {where}")
    return Finding("slack", "wrong", answer.code, answer.advice)

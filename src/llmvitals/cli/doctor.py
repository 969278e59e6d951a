"""`llmvitals doctor`: everything that the worker needs, looked at one by one."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from aiokafka import AIOKafkaConsumer

from llmvitals import topics
from llmvitals.errors import ConfigError, LlmvitalsError
from llmvitals.metrics.columns import CARDINALITY
from llmvitals.notify.protocol import Do
from llmvitals.notify.slack.buttons import opened
from llmvitals.notify.slack.settings import SlackSettings
from llmvitals.pipeline import Pipeline
from llmvitals.runtime.kafka.connect import asking, client, find_topics
from llmvitals.score import ScorerWorker
from llmvitals.store.query import query
from llmvitals.store.question import Question
from llmvitals.store.stored import stored
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from llmvitals.scorers import ScorerSetting
    from llmvitals.settings import Settings

CLOCK_SKEW: Final = 5.0
"""Seconds that our clock may be behind Kafka's before it is worth a word."""
ROOM: Final = 256 << 20
"""Bytes that should be free where SQLite's file is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not fine."""

    what: str
    state: Literal["fine", "warning", "wrong"]
    found: str
    cure: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which one would mend them. Nothing is written anywhere."""
    checks = {"rules": _rules, "topics": _topics, "clock": _clock, "store": _store}
    checks |= {"names": _names, "slack": _slack}
    if settings.text == "score":
        checks["scorers"] = _scorers
    return await asyncio.gather(*[_looked(what, check(settings)) for what, check in checks.items()])


async def _looked(what: str, check: Awaitable[Finding]) -> Finding:
    try:
        return await check
    except LlmvitalsError as error:
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
    """The newest call's Kafka time stamp against our clock: a time that is yet to come says who is wrong."""
    await find_topics(settings, settings.sources)
    async with asking(settings):
        newest = await _newest(settings)
    if newest is None:
        return Finding("clock", "warning", f"no call yet on {', '.join(settings.sources)}", "send one")
    ahead = newest / 1_000 - time.time()
    if ahead > CLOCK_SKEW:
        return Finding(
            "clock", "wrong", f"Kafka's clock is {ahead:.0f} s ahead of this one", "set both by NTP"
        )
    return Finding("clock", "fine", f"the newest call came {-ahead:,.0f} s ago by Kafka's clock")


async def _newest(settings: Settings) -> int | None:
    """The Kafka time stamp of the newest call, ms; None where there is none."""
    consumer = AIOKafkaConsumer(*settings.sources, **client(settings, "doctor"), enable_auto_commit=False)
    try:
        await consumer.start()
        newest = None
        for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
            if end > 0:
                consumer.seek(partition, end - 1)
                for records in (await consumer.getmany(partition, timeout_ms=2_000)).values():
                    newest = max(newest or 0, records[-1].timestamp)
        return newest
    finally:
        await consumer.stop()


async def _store(settings: Settings) -> Finding:
    if settings.influx_url is None and settings.sqlite is None:
        return Finding(
            "store", "warning", "none: alerts only", "set LLMVITALS_INFLUX_URL or LLMVITALS_SQLITE"
        )
    if settings.sqlite is not None and (trouble := _disk(settings.sqlite)):
        return trouble
    if settings.influx_url is None and settings.sqlite is not None and not settings.sqlite.exists():
        return Finding("store", "fine", f"{settings.sqlite} will be made by the worker")
    table = await query(settings, Question("calls", window="1m", since="10m", view="all"))
    where = settings.influx_url or settings.sqlite
    return Finding("store", "fine", f"{where} answers; {len(table.rows)} minutes of the last ten are there")


async def _names(settings: Settings) -> Finding:
    """The views that had more names than they may have, today or yesterday by the clock."""
    what = "names"
    if settings.influx_url is None and (settings.sqlite is None or not settings.sqlite.exists()):
        return Finding(what, "fine", "unknown: no store is there yet")
    now = time.time_ns() // 1_000
    found: dict[str, list[dict[str, Any]]] = {}
    for _, _, fields in await stored(settings, CARDINALITY, now - 2 * DAY, now + DAY):
        found.setdefault(fields["name"], []).append(fields)
    if not found:
        return Finding(what, "fine", "every view has fewer than it may have")
    told = [
        f"{view}: {sum(fields['cut'] for fields in parts):,}, such as {parts[0]['examples']}"
        for view, parts in sorted(found.items())
    ]
    cure = "stop who sends them, or raise LLMVITALS_MAX_SERIES (for sessions and users LLMVITALS_MAX_WATCHED)"
    return Finding(what, "warning", f"since yesterday counted in _other, by view: {'; '.join(told)}", cure)


def _disk(file: Path) -> Finding | None:
    """What is wrong with the place of SQLite's file, if anything is."""
    folder, elsewhere = file.resolve().parent, "name another file in LLMVITALS_SQLITE"
    if not os.access(file if file.exists() else folder, os.W_OK) or not folder.is_dir():
        return Finding("store", "wrong", f"{file} can't be written", f"make it writable, or {elsewhere}")
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        found = f"{free >> 20} MiB are free where {file} is"
        return Finding("store", "wrong" if free < 1 << 20 else "warning", found, f"free some, or {elsewhere}")
    return None


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
            heard, cure = await opened(own.app_token.get_secret_value(), own.api_url)
            if heard.do is not Do.DONE:
                return Finding("slack", "warning", f"alerts go to {where}; buttons: {heard.code}", cure)
        return Finding("slack", "fine", f"accepted; alerts go to {where}")
    return Finding("slack", "wrong", answer.code, answer.advice)

"""Runs `llmvitals demo`: a Kafka, the worker, the traffic of a small company, and a screen."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvitals.console import console as terminal
from llmvitals.environment import PREFIX
from llmvitals.errors import Unavailable
from llmvitals.local.backend import InProcess, OnKafka
from llmvitals.local.screen import Screen
from llmvitals.local.traffic import SPEED, company
from llmvitals.settings import load
from llmvitals.testing import FakeSlack
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from rich.console import Console

    from llmvitals.local.backend import DemoBackend
    from llmvitals.settings import Settings

STORE: Final = Path("llmvitals-demo.db")
RULES: Final = Path(__file__).parent / "demo.yaml"
"""Absolute limits: the starter rules would learn for days what is usual."""
CHANNEL: Final = "#llm-alerts"


def play(seconds: int, *, plain: bool) -> int:
    """Run the demo for `seconds` and print what was found. Returns the exit code; STORE keeps the metrics."""
    for leftover in STORE.parent.glob(f"{STORE.name}*"):
        leftover.unlink()
    return asyncio.run(_play(seconds, terminal(), plain=plain))


async def _play(seconds: int, console: Console, *, plain: bool) -> int:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack(channels=[CHANNEL]))
        settings = load(
            sqlite=STORE,
            alerts=RULES,
            slack_token=slack.token,
            slack_channel=CHANNEL,
            slack_api_url=slack.url,
            max_alert_age="12h",  # the demo plays faster than time, so its first calls lie hours back
        )
        backend = await _backend(stack, settings, console)
        screen = stack.enter_context(
            Screen(console, STORE, seconds, backend=backend, slack=slack, plain=plain)
        )
        await _traffic(backend, seconds, screen)
        await backend.drain()
        screen.show(seconds)
    screen.summary()
    return 0


async def _backend(stack: AsyncExitStack, settings: Settings, console: Console) -> DemoBackend:
    """The backend: on the Kafka of the settings, else on a local one, else in this process."""
    if f"{PREFIX}BROKERS" not in os.environ:
        from llmvitals.local.kafka import LocalKafka  # noqa: PLC0415 - needs the extra `demo`

        kafka = LocalKafka(progress=lambda line: console.print(line, style="dim"))
        try:
            address = await asyncio.to_thread(kafka.start)
        except Unavailable as error:
            console.print(
                f"{error}\nThe same stages run in this process instead, without Kafka.", style="yellow"
            )
            return await stack.enter_async_context(InProcess(settings))
        stack.callback(kafka.stop)
        settings = settings.model_copy(update={"brokers": address})
    console.print(f"Kafka is at {settings.brokers}", style="dim")
    return await stack.enter_async_context(OnKafka(settings))


async def _traffic(backend: DemoBackend, seconds: int, screen: Screen) -> None:
    """Send the calls when they are due, SPEED times faster than in the trace; draw once a second."""
    length = seconds * SPEED * SECOND
    start = time.time_ns() // 1_000 - length
    began, drawn = time.monotonic(), 0
    for event in company(start, length):
        due = (event["ts"] * 1_000 - start) / SPEED / SECOND
        while (now := time.monotonic() - began) < due:
            if int(now) > drawn:
                drawn = int(now)
                await backend.poll()
                screen.show(drawn)
            await asyncio.sleep(min(due - now, 0.25))
        await backend.send(json.dumps(event).encode(), event["session"].encode())

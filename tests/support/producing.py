"""What the programs in tests/integrations/programs share. They run where only a library and llmvitals' light parts are.

A program prints a line for each scenario: its events, and what the application saw.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import orjson


class Recording:
    """Stands in for a Publisher: keeps events, as their bytes would be sent."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def publish(self, call: Any) -> bool:
        self.events.append(orjson.loads(orjson.dumps(dict(call))))
        return True


published = Recording()
url = sys.argv[1] if len(sys.argv) > 1 else ""


def raised(function: Callable[[], Any]) -> str:
    """The class and text of what a function raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return "nothing"


async def cancelled(reading: Coroutine[Any, Any, None], read: asyncio.Event) -> str:
    """Cancel what reads a stream, once it has read a part of it; "cancelled" if it ends by that."""
    task = asyncio.create_task(reading)
    await read.wait()
    while not task.done():  # before Python 3.12, wait_for, which LangChain uses, may lose a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=1)
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    return "ended"


def run(*scenarios: Callable[[], Any]) -> None:
    """Run each, and print its name, its events and what it returns. Asynchronous ones share a loop."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    with asyncio.Runner() as runner:
        for scenario in scenarios:
            published.events.clear()
            saw = scenario()
            if inspect.iscoroutine(saw):
                saw = runner.run(saw)
            line = {"scenario": scenario.__name__, "events": published.events, "saw": saw}
            sys.stdout.write(json.dumps(line, default=str) + "\n")

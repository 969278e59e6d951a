"""Runs `llmvitals demo`: a Kafka, the worker, the traffic of a small company, and a screen."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import time
from contextlib import AsyncExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from llmvitals.console import console as terminal
from llmvitals.environment import PREFIX
from llmvitals.errors import Unavailable
from llmvitals.local.backend import InProcess, OnKafka
from llmvitals.local.traffic import INCIDENTS, SPEED, company
from llmvitals.notify.message import notice
from llmvitals.notify.terminal import COLOURS, draw, spoken, timed_text
from llmvitals.record.notification import MessageState
from llmvitals.settings import load
from llmvitals.testing import FakeSlack
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from types import TracebackType

    from llmvitals.local.backend import DemoBackend
    from llmvitals.notify.message import Notice
    from llmvitals.settings import Settings

INCIDENT_LABELS: Final = (
    {("prompt_version", "v8")},
    {("provider", "anthropic"), ("app", "code-review")},
    {("session", "run-4711")},
)
"""For each of traffic.INCIDENTS, labels of which an alert about it has at least one."""

_APPS: Final = """
    SELECT tags, SUM(calls), SUM(errors), SUM(cost_nano), SUM(input_tokens),
           (SELECT latency_ms_p95 FROM llm_calls AS newest
            WHERE newest.view = 'app' AND newest.window = '1m' AND newest.tags = app.tags
            ORDER BY start DESC LIMIT 1), MAX(start)
    FROM llm_calls AS app WHERE view = 'app' AND window = '10s' GROUP BY tags ORDER BY SUM(cost_nano) DESC
"""

STORE: Final = Path("llmvitals-demo.db")
RULES: Final = Path(__file__).parent / "demo.yaml"
"""Absolute limits: the starter rules would learn for days what is usual."""
CHANNEL: Final = "#llm-alerts"


class Screen:
    """A live screen on a terminal; with `plain`, lines for each change of an alert."""

    def __init__(
        self,
        console: Console,
        store: Path,
        seconds: int,
        *,
        backend: DemoBackend,
        slack: FakeSlack,
        plain: bool,
    ) -> None:
        self._console, self._store, self._seconds = console, store, seconds
        self._backend, self._slack, self._plain = backend, slack, plain
        self._printed: dict[str, str] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, second: int) -> None:
        """Draw the state at this second of the demo."""
        if not self._plain:
            self._live.update(self._drawn(second), refresh=True)
            return
        for episode, alert in self._backend.alerts.items():
            state = f"{alert.status} {alert.level}"
            if self._printed.get(episode) != state:
                self._printed[episode] = state
                self._console.print(f"{second:4} s")
                self._console.print(draw(notice(MessageState.alone(alert))))

    def summary(self) -> None:
        """Print what was found, where the metrics are, and how to query them."""
        if not self._plain:
            for alert in self._backend.alerts.values():
                self._console.print(draw(notice(MessageState.alone(alert))))
        self._console.print(self._numbers())
        found = Table("what went wrong", "found", "by the rule", box=None, title="What was found")
        for what, labels_of_incident in zip(INCIDENTS, INCIDENT_LABELS, strict=True):
            rules = sorted(
                {a.rule for a in self._backend.alerts.values() if labels_of_incident & a.labels.items()}
            )
            found.add_row(what, Text("yes", "green") if rules else Text("no", "red"), ", ".join(rules))
        self._console.print(found)
        query = f"  {_command()} --set sqlite={self._store} query --window 1m --metric"
        self._console.print(
            f"\n{len(self._backend.alerts)} incidents, {len(self._slack.messages)} Slack messages "
            "(each incident has one, which is edited as it changes).\n"
            f"The metrics are in {self._store} (SQLite). Query them:\n",
            f"{query} cost --by team\n",
            f"{query} latency_p95 --by app,model",
            highlight=False,
            soft_wrap=True,
            sep="",
        )

    def _drawn(self, second: int) -> RenderableType:
        bar = ProgressBar(total=self._seconds, completed=second, width=40)
        head = Columns([Text("llmvitals demo · ten minutes of trace a minute", style="bold"), bar])
        newest = list(self._backend.alerts.values())
        room = max(1, (self._console.height - 13) // 4)
        hidden = len(newest) - room
        parts: list[RenderableType] = [head, Text(), self._numbers(), Text()]
        parts.append(Text(f"#llm-alerts in Slack · {len(self._slack.messages)} messages", style="bold"))
        if hidden > 0:
            parts.append(Text(f"… {hidden} earlier", style="dim"))
        parts.extend(_brief(notice(MessageState.alone(alert))) for alert in newest[-room:])
        return Group(*parts)

    def _numbers(self) -> Table:
        rows = _rows(self._store)
        title = f"The company until {_end(max(row[-1] for row in rows))} UTC" if rows else "The company"
        table = Table("app", box=None, title=title, title_justify="left")
        for name in ("calls", "errors", "tokens a call", "p95 of the last minute", "cost"):
            table.add_column(name, justify="right")
        for tags, calls, errors, cost, tokens, p95, _ in rows:
            app = json.loads(tags).get("app", "")
            slow = "" if p95 is None else f"{p95 / 1_000:,.2f} s"
            failed = Text(str(errors), "red" if errors else "")
            table.add_row(
                app, f"{calls:,}", failed, f"{tokens / max(calls, 1):,.0f}", slow, f"${cost / 1e9:,.2f}"
            )
        return table


def _command() -> str:
    """The command to run llmvitals from here; `make demo` does not put it on the PATH."""
    return (
        "llmvitals"
        if shutil.which("llmvitals")
        else os.path.relpath(Path(sys.executable).parent / "llmvitals")
    )


def _brief(message: Notice) -> RenderableType:
    """A message in three lines, so that many fit; the end of the demo prints them whole."""
    style = COLOURS[message.colour]
    labels = " · ".join(f"{name} {value}" for name, value in message.labels)
    word = next(map(spoken, message.words), labels)
    lines = (message.title.split(" ", 1)[-1], " · ".join(map(timed_text, message.headline)), word)
    bar = Text("▌ ", style=style)
    return Group(*(Text.assemble(bar, (line, "bold" if n == 0 else "")) for n, line in enumerate(lines)), "")


def _rows(store: Path) -> list[tuple[Any, ...]]:
    """A row for each app; none while the store is being made."""
    if not store.exists():
        return []
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db,
    ):
        return db.execute(_APPS).fetchall()
    return []


def _end(start: int) -> str:
    """The end of the pane of 10 s that begins at `start`, µs."""
    return datetime.fromtimestamp(start / SECOND + 10, UTC).strftime("%H:%M:%S")


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

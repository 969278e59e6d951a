"""The demo's screen: the company's numbers, and the Slack messages as they come."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from llmvitals.local.traffic import INCIDENTS
from llmvitals.notify.message import notice
from llmvitals.notify.terminal import COLOURS, draw
from llmvitals.record.message_state import MessageState

if TYPE_CHECKING:
    from types import TracebackType

    from llmvitals.local.backend import DemoBackend
    from llmvitals.notify.message import Notice
    from llmvitals.testing import FakeSlack

SIGNS: Final = (
    {("prompt_version", "v8")},
    {("provider", "anthropic"), ("app", "code-review")},
    {("session", "run-4711")},
)
"""The labels by any of which each of traffic.INCIDENTS is known again."""

_APPS: Final = """
    SELECT tags, SUM(calls), SUM(errors), SUM(cost_nano), SUM(input_tokens),
           (SELECT latency_ms_p95 FROM llm_calls AS newest
            WHERE newest.view = 'app' AND newest.window = '1m' AND newest.tags = each.tags
            ORDER BY start DESC LIMIT 1)
    FROM llm_calls AS each WHERE view = 'app' AND window = '10s' GROUP BY tags ORDER BY SUM(cost_nano) DESC
"""


class Screen:
    """A live screen on a terminal; with `plain`, lines for what is new."""

    def __init__(
        self, console: Console, store: Path, seconds: int, *, hand: DemoBackend, slack: FakeSlack, plain: bool
    ) -> None:
        self._console, self._store, self._seconds = console, store, seconds
        self._hand, self._slack, self._plain = hand, slack, plain
        self._said: dict[str, str] = {}
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
        """Draw the present state."""
        if not self._plain:
            self._live.update(self._drawn(second), refresh=True)
            return
        for episode, alert in self._hand.alerts.items():
            state = f"{alert.status} {alert.level}"
            if self._said.get(episode) != state:
                self._said[episode] = state
                self._console.print(f"{second:4} s")
                self._console.print(draw(notice(MessageState.alone(alert))))

    def summary(self) -> None:
        """What was found, where the metrics are, and how to ask them."""
        if not self._plain:
            for alert in self._hand.alerts.values():
                self._console.print(draw(notice(MessageState.alone(alert))))
        self._console.print(self._numbers())
        found = Table("what went wrong", "found", "by the rule", box=None, title="What was found")
        for what, signs in zip(INCIDENTS, SIGNS, strict=True):
            rules = sorted({a.rule for a in self._hand.alerts.values() if signs & a.labels.items()})
            found.add_row(what, Text("yes", "green") if rules else Text("no", "red"), ", ".join(rules))
        self._console.print(found)
        ask = f"  {_command()} --set sqlite={self._store} query --window 1m --metric"
        self._console.print(
            f"\n{len(self._hand.alerts)} incidents, {len(self._slack.messages)} Slack messages "
            "(each incident has one, which is edited as it changes).\n"
            f"The metrics are in {self._store} (SQLite). Ask them:\n",
            f"{ask} cost --by team\n",
            f"{ask} latency_p95 --by app,model",
            highlight=False,
            soft_wrap=True,
            sep="",
        )

    def _drawn(self, second: int) -> RenderableType:
        bar = ProgressBar(total=self._seconds, completed=second, width=40)
        head = Columns([Text("llmvitals demo · ten minutes of trace a minute", style="bold"), bar])
        newest = list(self._hand.alerts.values())
        room = max(1, (self._console.height - 13) // 4)
        hidden = len(newest) - room
        parts: list[RenderableType] = [head, Text(), self._numbers(), Text()]
        parts.append(Text(f"#llm-alerts in Slack · {len(self._slack.messages)} messages", style="bold"))
        if hidden > 0:
            parts.append(Text(f"… {hidden} earlier", style="dim"))
        parts.extend(_brief(notice(MessageState.alone(alert))) for alert in newest[-room:])
        return Group(*parts)

    def _numbers(self) -> Table:
        table = Table("app", box=None, title="The company, so far", title_justify="left")
        for name in ("calls", "errors", "tokens a call", "p95 of the last minute", "cost"):
            table.add_column(name, justify="right")
        for tags, calls, errors, cost, tokens, p95 in _rows(self._store):
            app = json.loads(tags).get("app", "")
            slow = "" if p95 is None else f"{p95 / 1_000:,.2f} s"
            failed = Text(str(errors), "red" if errors else "")
            table.add_row(
                app, f"{calls:,}", failed, f"{tokens / max(calls, 1):,.0f}", slow, f"${cost / 1e9:,.2f}"
            )
        return table


def _command() -> str:
    """How to call llmvitals from here: `make demo` has not put it on anybody's PATH."""
    return (
        "llmvitals"
        if shutil.which("llmvitals")
        else os.path.relpath(Path(sys.executable).parent / "llmvitals")
    )


def _brief(said: Notice) -> RenderableType:
    """A message in three lines, so that many are seen at once; the end of the demo shows them whole."""
    style = COLOURS[said.colour]
    labels = " · ".join(f"{name} {value}" for name, value in said.labels)
    lines = (said.title.split(" ", 1)[-1], next(iter(said.words), labels), said.figure)
    bar = Text("▌ ", style=style)
    return Group(*(Text.assemble(bar, (line, "bold" if n == 0 else "")) for n, line in enumerate(lines)), "")


def _rows(store: Path) -> list[tuple[Any, ...]]:
    """What the store has; nothing while it is being made."""
    if not store.exists():
        return []
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db,
    ):
        return db.execute(_APPS).fetchall()
    return []

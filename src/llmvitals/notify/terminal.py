"""Messages on a terminal: where no other notifier is configured, and in the demo."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from rich.box import Box
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from llmvitals.console import console as terminal
from llmvitals.notify.message import notice
from llmvitals.notify.protocol import Answer, Notifier
from llmvitals.wording import moment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from llmvitals.notify.figure import Sentence, Timed
    from llmvitals.notify.listing import AlertLine
    from llmvitals.notify.message import Notice
    from llmvitals.record.notification import MessageState

_BAR: Final = Box("▌   \n" * 8)
COLOURS: Final = {
    "red": "red3",
    "orange": "dark_orange",
    "blue": "dodger_blue2",
    "green": "green3",
    "grey": "grey50",
}


def draw(message: Notice, channel: str = "") -> RenderableType:
    """The message as Slack would show it: a bar of colour, the title, what it is about.

    Everything is Text, so nothing that a user wrote is read as rich's markup.
    """
    colour = COLOURS[message.colour]
    # The circle in the title says in Slack what the bar of colour says here.
    title = message.title.split(" ", 1)[-1]
    parts: list[RenderableType] = [Text(title, style=f"bold {colour}")]
    above = [*filter(None, [message.about]), *map(timed_text, message.state)]
    parts.extend(Text(text, style="dim") for text in above)
    steer = timed_text(message.steer) if message.steer else ""
    figures = (" · ".join(map(timed_text, message.headline)), message.trend, steer)
    parts.extend(Text(text, style="bold") for text in figures if text)
    parts.extend([Text(" · ".join(map(timed_text, message.detail)))] if message.detail else [])
    parts.extend([_pairs(list(message.labels))] if message.labels else [])
    parts.append(Text(" · ".join(map(timed_text, message.times)), style="dim"))
    parts.extend(Text(spoken(word)) for word in message.words)
    for lines in message.lists:
        head = " · ".join(filter(None, (lines.rule, *map(timed_text, lines.head))))
        parts.extend([Text(head, style="dim")] if head else [])
        parts.extend(map(_line, lines.lines))
    if message.more:
        parts.append(Text(f"and {message.more:,} more"))
    if message.heaviest:
        parts.append(Text(message.heading, style="dim"))
    for kind, name, used in message.heaviest:
        parts.append(Text.assemble((f"{kind} " if kind else "", "dim"), name, (f" · {used}", "dim")))
    if message.exemplars:
        parts.append(Text.assemble(("Calls  ", "dim"), "  ".join(trace for trace, _ in message.exemplars)))
    for name, link in (("Runbook", message.link), ("Dashboard", message.dashboard)):
        if link:
            parts.append(Text.assemble((f"{name}  ", "dim"), (link, "underline")))
    where = f"{channel} · " if channel else ""
    parts.append(Text(f"{where}{message.footer}", style="dim"))
    return Panel(Group(*parts), box=_BAR, border_style=colour, expand=False, padding=(0, 1))


def text(state: MessageState, channel: str = "") -> str:
    """The message as lines of plain text."""
    plain = terminal(file=io.StringIO(), width=100, no_color=True, highlight=False)
    with plain.capture() as captured:
        plain.print(draw(notice(state), channel))
    lines = (line.removeprefix("▌").strip() for line in captured.get().splitlines())
    return "\n".join(lines).strip()


def _line(line: AlertLine) -> Text:
    when = moment(line.since) if line.since is not None else line.lasted
    facts = " · ".join(filter(None, map(spoken, line.facts)))
    return Text.assemble(
        ("🔕 " if line.muted else "● ", COLOURS[line.colour]),
        " ".join(filter(None, (*line.values, facts))),
        (f" · {when}" if when else "", "dim"),
    )


def timed_text(timed: Timed) -> str:
    """A text and its time in UTC."""
    text, time = timed
    return text if time is None else f"{text} {moment(time)}"


def spoken(sentence: Sentence) -> str:
    """A sentence with its times in UTC."""
    return "".join(map(timed_text, sentence))


def _pairs(pairs: list[tuple[str, str]]) -> Text:
    named = (Text.assemble((f"{name} " if name else "", "dim"), value) for name, value in pairs)
    return Text(" · ").join(named)


class Terminal(Notifier):
    """Prints an incident, and again at each news: for where no other notifier is configured."""

    name = "terminal"
    title = "the terminal"

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or terminal()

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        del plain
        self._console.print(draw(notice(state), channel))
        return Answer()

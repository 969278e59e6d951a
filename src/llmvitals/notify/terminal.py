"""The same message on a terminal: where there is no Slack, and in the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.box import Box
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from llmvitals.notify.answer import Answer
from llmvitals.notify.message import HEAVIEST, notice
from llmvitals.notify.wording import moment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from llmvitals.notify.message import Notice
    from llmvitals.record.card import Card, Place

_BAR: Final = Box("▌   \n" * 8)
COLOURS: Final = {"red": "red3", "orange": "dark_orange", "blue": "dodger_blue2", "green": "green3"}


def draw(said: Notice, channel: str = "") -> RenderableType:
    """The message as Slack would show it: a bar of colour, the title, what it is about.

    Everything is Text, so nothing that a user wrote is read as rich's markup.
    """
    colour = COLOURS[said.colour]
    # The circle in the title says in Slack what the bar of colour says here.
    title = said.title.split(" ", 1)[-1]
    parts: list[RenderableType] = [Text(title, style=f"bold {colour}")]
    parts.extend(Text(text, style="dim") for text in said.state)
    figure = " ".join(filter(None, (said.figure, said.trend)))
    parts.extend(Text(text, style="bold") for text in (figure, said.steer) if text)
    times = [(name, moment(time)) for name, time in said.times]
    parts.append(_pairs([*said.labels, *times, *([("Lasted", said.lasted)] if said.lasted else [])]))
    parts.extend(Text(word) for word in said.words if word)
    for line in said.lines:
        place = _pairs([*([("", line.rule)] if line.rule else []), *line.labels])
        parts.append(Text.assemble(("● ", COLOURS[line.colour]), place, (f" · {line.figure}", "dim")))
    if said.more:
        parts.append(Text(f"and {said.more:,} more"))
    if said.heaviest:
        parts.append(Text(HEAVIEST, style="dim"))
    for kind, name, used in said.heaviest:
        parts.append(Text.assemble((f"{kind} ", "dim"), name, (f" · {used}", "dim")))
    if said.exemplars:
        parts.append(Text.assemble(("Calls  ", "dim"), "  ".join(trace for trace, _ in said.exemplars)))
    if said.link:
        parts.append(Text.assemble(("Runbook  ", "dim"), (said.link, "underline")))
    where = f"{channel} · " if channel else ""
    parts.append(Text(f"{where}{said.footer}", style="dim"))
    return Panel(Group(*parts), box=_BAR, border_style=colour, expand=False, padding=(0, 1))


def _pairs(pairs: list[tuple[str, str]]) -> Text:
    named = (Text.assemble((f"{name} " if name else "", "dim"), value) for name, value in pairs)
    return Text(" · ").join(named)


class Terminal:
    """The way where no Slack is set: every news of an incident is printed."""

    threads = False

    def __init__(self, console: Console) -> None:
        self._console = console

    async def open(self) -> None:
        """Nothing to make."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def check(self) -> Answer:
        return Answer()

    async def post(self, channel: str, card: Card, *, plain: bool) -> Answer:
        del plain
        self._console.print(draw(notice(card), channel))
        return Answer()

    async def edit(self, place: Place, card: Card, *, plain: bool) -> Answer:
        del place, card, plain
        return Answer("cant_update_message")

    async def reply(self, place: Place, text: str) -> Answer:
        del place, text
        return Answer("thread_not_found")

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        del channel, incident, since
        return Answer()

    async def heard(self, place: Place, text: str) -> Answer:
        del place, text
        return Answer()

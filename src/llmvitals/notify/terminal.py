"""The same message on a terminal: where there is no Slack, and in the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.box import Box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from llmvitals.notify.answer import Answer
from llmvitals.notify.message import HEAVIEST
from llmvitals.notify.wording import moment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from llmvitals.notify.message import Notice
    from llmvitals.record.incident import Incident

_BAR: Final = Box("▌   \n" * 8)
COLOURS: Final = {"red": "red3", "orange": "dark_orange", "blue": "dodger_blue2", "green": "green3"}


def draw(said: Notice, channel: str = "") -> RenderableType:
    """The message as Slack would show it: a bar of colour, the title, two columns of facts.

    Everything is Text, so nothing that a user wrote is read as rich's markup.
    """
    colour = COLOURS[said.colour]
    # The circle in the title says in Slack what the bar of colour says here.
    title = said.title.split(" ", 1)[-1]
    parts: list[RenderableType] = [Text(title, style=f"bold {colour}")]
    if said.summary:
        parts.append(Text(said.summary))
    parts.append(_columns([*said.facts, *((name, moment(time)) for name, time in said.times)]))
    if said.labels:
        parts.append(_columns(list(said.labels)))
    if said.heaviest:
        parts.append(Text(HEAVIEST, style="dim"))
    for rank, (kind, name, used) in enumerate(said.heaviest, 1):
        parts.append(Text.assemble((f"{rank}. {kind} ", "dim"), name, (f" · {used}", "dim")))
    if said.exemplars:
        parts.append(Text.assemble(("Calls to look at  ", "dim"), "  ".join(said.exemplars)))
    if said.link:
        parts.append(Text.assemble(("Runbook  ", "dim"), (said.link, "underline")))
    where = f"{channel} · " if channel else ""
    parts.append(Text(f"{where}{said.footer}", style="dim"))
    return Panel(Group(*parts), box=_BAR, border_style=colour, expand=False, padding=(0, 1))


def _columns(pairs: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 3))
    for left in range(0, len(pairs), 2):
        grid.add_row(
            *(Text.assemble((f"{name}  ", "dim"), (value, "bold")) for name, value in pairs[left : left + 2])
        )
    return grid


class Terminal:
    """The way where no Slack is set: every news of an incident is printed."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def open(self) -> None:
        """Nothing to make."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def check(self) -> Answer:
        return Answer()

    async def post(self, channel: str, incident: str, said: Notice, *, plain: bool) -> Answer:
        del incident, plain
        self._console.print(draw(said, channel))
        return Answer()

    async def edit(self, shown: Incident, said: Notice, *, plain: bool) -> Answer:
        return await self.post(shown.channel, shown.id, said, plain=plain)

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        del channel, incident, since
        return Answer()

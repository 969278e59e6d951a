"""Whatever happens in whatever order, people see what is so, once: against a model that only remembers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from desks import DAY, MINUTE, SECOND, World, alert
from llmvitals.notify.protocol import Answer, Do, Notifier
from llmvitals.record.log import Logged, Message
from llmvitals.record.matcher import parsed
from llmvitals.record.notification import MessageState, Place, Reply
from llmvitals.routing import Inhibition, Route, Routing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.user_action import Silence

OLD = 15 * MINUTE
"""max_alert_age."""
TEAMS = ("ads", "core", "data", "edge", "food", "game", "help")
CHIEF = "ads"
"""While its alert fires, those of its region are muted, where there is inhibition."""
MUTES = Inhibition((parsed(f"team={CHIEF}"),), (parsed("team=~.*"),), ("region",))
REGIONS = {team: ("eu", "us")[n % 2] for n, team in enumerate(TEAMS)}


class Paper(Notifier):
    """A Slack of paper: what is on it, and the faults that it will have next.

    A fault is "away" (nothing was done), or "lost" (it was done and nobody was told so).
    """

    threads = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.cards: dict[str, MessageState] = {}
        self.threads_: dict[str, list[Reply]] = {}
        self.faults: list[str] = []

    async def check(self) -> Answer:
        return self._said(lambda: Answer())

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        def write() -> Answer:
            ts = str(len(self.cards) + 1)
            self.cards[ts], self.threads_[ts] = state, []
            return Answer(place=Place(channel, ts))

        return self._said(write)

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        def write() -> Answer:
            self.cards[place.ts] = state
            return Answer(place=place)

        return self._said(write)

    async def reply(self, place: Place, reply: Reply) -> Answer:
        return self._said(lambda: self.threads_[place.ts].append(reply) or Answer())

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        there = [ts for ts, card in self.cards.items() if card.incident == incident]
        return self._said(lambda: Answer(place=Place(channel, there[0] if there else "")))

    async def heard(self, place: Place, reply: Reply) -> Answer:
        there = reply in self.threads_[place.ts]
        return self._said(lambda: Answer(place=Place(place.channel, "r" if there else "")))

    def _said(self, act: Any) -> Answer:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "away":
            return Answer(Do.WAIT, "service_unavailable")
        done = act()
        return Answer(Do.ASK, "timeout") if fault == "lost" else done


@dataclass
class Model:
    """The newest change of every alert, and the teams of which people heard; nothing else."""

    changes: dict[str, Alert] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)

    def take(self, change: Alert) -> None:
        self.changes[change.episode] = change

    def firing(self) -> set[str]:
        return {name for name, change in self.changes.items() if change.status == "firing"}


class Play:
    """A desk, the paper, the model, and what one can do to them."""

    def __init__(self, routing: Routing) -> None:
        class Nobody:
            token, url = "xoxb-", "http://localhost:1/"

        self.papers, self.model = [Paper("slack"), Paper("other")], Model()
        self.world = World(Nobody(), routing)  # Slack is paper
        self.world.notifiers = [*self.papers]
        self.live: dict[str, Alert] = {}
        self.past: list[Alert] = []
        self.silences: dict[str, Silence] = {}
        self.backlog: list[tuple[int, Alert]] | None = None
        self.marked = False
        self.fresh: set[str] = set()
        self.held: set[str] = set()
        self.late: set[str] = set()
        self.missed: set[str] = set()

    async def fire(self, team: str) -> None:
        now = self.world.now
        before = self.live.get(team)
        level = "50%" if before is None else f"{int(before.level[:-1]) + 1}%"
        begin = now if before is None else before.since
        self.live[team] = made = alert(
            team, begin=begin, at=now, level=level, labels={"region": REGIONS[team]}
        )
        await self.send([made])

    async def resolve(self, team: str) -> None:
        before = self.live.pop(team, None)
        if before is not None:
            over = alert(
                team, "resolved", begin=before.since, at=self.world.now, level=before.level,
                labels={"region": REGIONS[team]},
            )  # fmt: skip
            await self.send([over])

    async def down(self, lives: list[tuple[str, str, int]], cut: int) -> None:
        """The sink is off while alerts begin and end; then it reads all that, in pieces."""
        self.backlog = []
        for verb, team, minutes in lives:
            await getattr(self, verb)(team)
            self.world.now += minutes * MINUTE
        backlog, self.backlog, self.marked = self.backlog, None, True
        await self.world.restart()
        for number, (written, change) in enumerate(backlog):
            self.world.upto(written - OLD - MINUTE)
            await self.send([change], number if number == cut else None)
            await self.world.tick()
            self.hear()
        await self.tick()

    def age(self, change: Alert) -> None:
        """Whether people may hear of an alert: it is young, or llmvitals has caught up since it was read."""
        name = change.episode
        if change.status == "resolved":
            self.missed |= self.held & {name}
            self.held.discard(name)
        elif self.world.now - change.at <= OLD:
            self.fresh.add(name)
            self.held.discard(name)
        elif name not in self.fresh:
            self.held.add(name)

    async def send(self, changes: Sequence[Alert], cut: int | None = None) -> None:
        if self.backlog is not None:
            self.backlog += [(self.world.now, change) for change in changes]
            return
        self.past += changes
        for change in changes:
            self.model.take(change)
            self.age(change)
        if cut is not None:
            # The marks of a killed process end somewhere; its offset is not committed.
            at = self.world.now // 1_000
            marks = await self.world.desk.take(0, [Logged(0, at, change.encode()) for change in changes])
            await self.killed(marks, cut)
        await self.world.take(*changes)

    def hear(self) -> None:
        """The desk ticks: people hear of what fires and is not silenced."""
        heard = [name for name in self.model.firing() & self.fresh if not self.muted(name)]
        self.model.heard |= {self.model.changes[name].labels["team"] for name in heard}

    async def killed(self, marks: list[Message], cut: int) -> None:
        self.world.keep(marks[: cut % (len(marks) + 1)])
        await self.world.restart()

    async def tick(self) -> None:
        if self.marked:
            self.world.upto(self.world.now)
            self.late |= self.held
            self.fresh |= self.held
            self.held.clear()
        await self.world.tick()
        self.hear()

    def muted(self, episode: str) -> bool:
        marks = self.model.changes[episode].marks
        chiefs = [
            one for one in self.model.firing() & self.fresh if self.model.changes[one].labels["team"] == CHIEF
        ]
        chief = self.world.routing.inhibitions and chiefs and marks["team"] != CHIEF
        if chief and marks["region"] == REGIONS[CHIEF]:
            return True
        return any(silence.covers(marks, self.world.now) for silence in self.silences.values())

    async def silence(self, team: str, minutes: int) -> None:
        made = self.world.silence(f"team={team}", id=team, last=minutes * MINUTE)
        self.silences[team] = made
        self.world.act(made)

    async def expire(self, team: str) -> None:
        await self.silence(team, 0)

    async def storm(self) -> None:
        for team in TEAMS:
            if team not in self.live:
                await self.fire(team)

    async def again(self, which: list[int]) -> None:
        if self.past:
            await self.world.take(*(self.past[n % len(self.past)] for n in which))

    async def wait(self, seconds: int) -> None:
        self.world.now += seconds * SECOND
        await self.tick()

    async def fault(self, which: int, faults: list[str]) -> None:
        self.papers[which].faults = list(faults)

    async def crash(self, cut: int) -> None:
        marks = await self.world.ticked()
        self.hear()
        await self.killed(marks, cut)

    async def restart(self) -> None:
        await self.world.restart()

    async def settle(self) -> None:
        for paper in self.papers:
            paper.faults.clear()
        for _ in range(16):
            self.world.now += 30 * SECOND
            await self.tick()
        # What a silence let go of a moment ago may still wait.
        while any(0 <= self.world.now - one.ends < MINUTE for one in self.silences.values()):
            self.world.now += 30 * SECOND
            await self.tick()
        await self.world.tick(3)


STEPS = st.one_of(
    st.tuples(st.just("fire"), st.sampled_from(TEAMS)),
    st.tuples(st.just("fire"), st.sampled_from(TEAMS)),
    st.tuples(st.just("resolve"), st.sampled_from(TEAMS)),
    st.tuples(st.just("storm")),
    st.tuples(st.just("again"), st.lists(st.integers(0, 99), min_size=1, max_size=4)),
    st.tuples(st.just("silence"), st.sampled_from(TEAMS), st.integers(1, 30)),
    st.tuples(st.just("expire"), st.sampled_from(TEAMS)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 30, 120, 400])),
    st.tuples(st.just("tick")),
    st.tuples(
        st.just("fault"), st.integers(0, 1), st.lists(st.sampled_from(["away", "lost", ""]), max_size=4)
    ),
    st.tuples(st.just("crash"), st.integers(0, 99)),
    st.tuples(st.just("restart")),
    st.tuples(
        st.just("down"),
        st.lists(
            st.tuples(
                st.sampled_from(["fire", "resolve"]),
                st.sampled_from(TEAMS),
                st.sampled_from([1, 7, 20]),
            ),
            max_size=8,
        ),
        st.integers(0, 12),
    ),
)
ROUTINGS = st.builds(
    lambda inhibits, **route: Routing((Route(**route),), (MUTES,) if inhibits else ()),
    inhibits=st.booleans(),
    group_by=st.sampled_from([None, ("region",), ("rule",), ("team",)]),
    wait=st.sampled_from([0, 10 * SECOND]),
    interval=st.sampled_from([0, MINUTE, 5 * MINUTE]),
    repeat=st.sampled_from([10 * MINUTE, DAY]),
)


async def played(routing: Routing, steps: Sequence[Any]) -> Play:
    play = Play(routing)
    async with play.world:
        for name, *arguments in steps:
            play.world.now += SECOND
            await getattr(play, name)(*arguments)
        await play.settle()
    return play


@settings(max_examples=150)
@given(ROUTINGS, st.lists(STEPS, max_size=40))
def test_people_see_what_is_so_once(routing: Routing, steps: list[Any]) -> None:
    play = asyncio.run(played(routing, steps))
    for paper in play.papers:
        check(play, paper)


def check(play: Play, paper: Paper) -> None:
    model, cards = play.model, list(paper.cards.values())
    # One message per incident, although answers were lost and processes killed.
    assert [name for name, times in Counter(card.incident for card in cards).items() if times > 1] == []
    shown = [change for card in cards for change in card.alerts]
    # Each alert in one message at most, as it is now.
    assert [name for name, times in Counter(change.episode for change in shown).items() if times > 1] == []
    assert [change for change in shown if change != model.changes[change.episode]] == []
    # What ended before anybody could know is told to nobody, and what comes late says so.
    assert play.missed & {change.episode for change in shown} == set()
    late = play.late & model.firing()
    assert all(card.late for card in cards if late & {change.episode for change in card.alerts})
    assert play.late or not any(card.late for card in cards)
    # Whoever fires and is not silenced is told; whoever never was heard is told by no message of his own.
    for name in model.firing():
        if not play.muted(name):
            assert name in {change.episode for change in shown}
    for card in cards:
        assert {change.labels["team"] for change in card.alerts} & model.heard
        fires = {change.episode for change in card.alerts if change.status == "firing"}
        # What is muted beside others that are heard is not counted.
        heard = {name for name in fires if not play.muted(name)} or fires
        assert (card.status == "firing", card.firing) == (bool(fires), len(heard))
        assert bool(card.unheard) == (bool(fires) and all(map(play.muted, fires)))
        assert card.status == "firing" or card.until == max(change.at for change in card.alerts)
    # Nothing is said twice in a thread.
    for texts in paper.threads_.values():
        assert [text for text, following in pairwise(texts) if text == following] == []


CHANGES = [
    [alert(team, at=1_735_732_800 * SECOND + n, level=level) for n, level in enumerate(("50%", "80%", "95%"))]
    + [alert(team, "resolved", at=1_735_732_800 * SECOND + 9, level="95%")] * (team != "ads")
    for team in ("ads", "core", "data")
]


@settings(max_examples=100)
@given(
    st.permutations([n for n, life in enumerate(CHANGES) for _ in life]),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=8),
    st.sets(st.integers(0, 11)),
    st.sets(st.integers(0, 11), max_size=3),
)
def test_any_interleaving_with_duplicates_and_crashes_ends_in_the_same_messages(
    order: list[int], again: list[tuple[int, int]], ticks: set[int], kills: set[int]
) -> None:
    """Shards have no order among one another, and a dead worker's writes come twice."""

    async def run() -> set[tuple[str, str, str]]:
        play = Play(Routing((Route(group_by=("rule",)),)))
        async with play.world:
            left = [list(life) for life in CHANGES]
            sent: list[Alert] = []
            for n, which in enumerate(order):
                sent.append(left[which].pop(0))
                await play.send([sent[-1]], 7 * n if n in kills else None)
                for _, back in (pair for pair in again if pair[0] == n):
                    await play.world.take(sent[back % len(sent)])
                if n in ticks or n == 0:
                    await play.world.tick()
            await play.settle()
        shown = [[*paper.cards.values()] for paper in play.papers]
        assert [len(cards) for cards in shown] == [1, 1]
        return {
            (one.episode, one.status, one.level)
            for (card,) in shown
            for one in card.alerts
            if one.status == "firing"
        }

    assert asyncio.run(run()) == {(CHANGES[0][0].episode, "firing", "95%")}

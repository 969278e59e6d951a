"""A notifier is one class and one line in the registry; any number of them are used at once."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from desks import MINUTE, NOW, SECOND, World, alert
from llmvitals.notify.protocol import Answer, Do, Notifier
from llmvitals.notify.registry import NOTIFIERS
from llmvitals.record.incident import Case, Incident
from llmvitals.record.notification import LevelChanged, Place, Resolved
from llmvitals.record.user_action import Acknowledgement
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from llmvitals.record.notification import Change, MessageState, Reply
    from llmvitals.record.user_action import UserAction


class PostOnly(Notifier):
    """All that a notifier has to have."""

    name = "toy"

    def __init__(self) -> None:
        self.states: list[MessageState] = []
        self.channels: list[str] = []

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        del plain
        self.channels.append(channel)
        self.states.append(state)
        return Answer()


class Threads(PostOnly):
    """A notifier that can do everything. fault: what it does instead of answering."""

    threads = True

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []
        self.pressed: list[UserAction] = []
        self.fault: Callable[[], Any] | None = None
        self.asked = 0

    async def check(self) -> Answer:
        return await self._answer(Answer())

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        await super().post(channel, state, plain=plain)
        return await self._answer(Answer(place=Place("room", f"toy-{len(self.states)}")))

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        del plain
        assert place.channel == "room"
        self.states[int(place.ts.removeprefix("toy-")) - 1] = state
        return await self._answer(Answer(place=place))

    async def reply(self, place: Place, reply: Reply) -> Answer:
        assert place.channel == "room"
        self.changes += reply.changes
        return await self._answer(Answer())

    def actions(self) -> Sequence[UserAction]:
        pressed, self.pressed = self.pressed, []
        return pressed

    async def _answer(self, answer: Answer) -> Answer:
        self.asked += 1
        if self.fault is not None:
            found = self.fault()
            return await found if asyncio.iscoroutine(found) else found
        return answer


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(["#alerts"]) as fake:
        yield fake


@pytest.fixture
async def beside(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A world with Slack and this notifier."""
    async with AsyncExitStack() as stack:

        async def start(notifier: Notifier, patience: float = World.patience) -> World:
            monkeypatch.setitem(NOTIFIERS, "toy", lambda settings, limits: (notifier, "the default"))
            world = World(slack)
            world.patience = patience
            return await stack.enter_async_context(world)

        yield start


def kept(world: World) -> Incident:
    (incident,) = (entry for entry in world.written() if isinstance(entry, Incident))
    return incident


async def until(world: World, met: Callable[[], bool]) -> None:
    """Time goes by until it is so."""
    for _ in range(2_000):
        if met():
            return
        world.now += SECOND
        await world.tick()
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def test_a_notifier_that_can_only_post_gets_the_incident_beside_slack(
    slack: FakeSlack, beside: Any
) -> None:
    toy = PostOnly()
    world = await beside(toy)
    await world.say(alert())
    world.now += MINUTE
    await world.say(alert("search", "resolved", at=world.now))
    await world.wait(10 * MINUTE)
    (message,) = slack.messages
    assert "Resolved" in message.text
    assert [state.status for state in toy.states] == ["firing", "resolved"]
    assert toy.channels == ["#alerts", "#alerts"]


async def test_each_notifier_has_its_own_message_and_thread(slack: FakeSlack, beside: Any) -> None:
    toy = Threads()
    world = await beside(toy)
    await world.say(alert(level="50%"))
    world.now += MINUTE
    await world.say(alert(level="95%", at=world.now))
    world.now += MINUTE
    await world.say(alert("search", "resolved", level="95%", at=world.now))
    await world.wait(10 * MINUTE)
    (message,) = slack.messages
    assert len(message.thread) == len(toy.changes) == 2
    assert [type(change) for change in toy.changes] == [LevelChanged, Resolved]
    (state,) = toy.states
    assert state.status == "resolved"
    sent = kept(world).sent
    assert sent["slack"].place == (message.channel, message.ts)
    assert sent["toy"].place == ("room", "toy-1")


async def test_what_was_sent_by_each_survives_a_restart(slack: FakeSlack, beside: Any) -> None:
    toy = Threads()
    world = await beside(toy)
    await world.say(alert(level="50%"))
    await world.restart()
    world.now += MINUTE
    await world.say(alert("search", "resolved", level="50%", at=world.now))
    assert len(slack.messages) == len(toy.states) == 1
    assert toy.states[0].status == "resolved"


async def test_what_people_do_by_any_notifier_is_seen_in_all(slack: FakeSlack, beside: Any) -> None:
    toy = Threads()
    world = await beside(toy)
    await world.say(alert())
    toy.pressed.append(Acknowledgement(incident=kept(world).id, by="Ben", at=world.now))
    await world.tick(3)
    assert [key for key in world.silences if key.startswith(b"ack/")]
    assert "acknowledged by Ben" in slack.messages[0].thread[0]
    assert toy.states[0].acknowledged == ("Ben", world.now)


def _raises() -> Answer:
    raise RuntimeError("planted-secret")


FAULTS: dict[str, Callable[[], Any]] = {
    "away": lambda: Answer(Do.WAIT, "away", "away: wait"),
    "unsure": lambda: Answer(Do.ASK, "unsure", "unsure: wait"),
    "misconfigured": lambda: Answer(Do.FIX, "wrong_key", "wrong_key: set another"),
    "raises": _raises,
    "hangs": lambda: asyncio.Event().wait(),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_notifier_that_is_down_holds_up_no_other(slack: FakeSlack, beside: Any, fault: str) -> None:
    toy = Threads()
    world = await beside(toy, 2.0 if fault == "hangs" else World.patience)
    await world.say(alert("first"))
    posted = len(toy.states)
    toy.fault = FAULTS[fault]
    await world.say(alert("second"))
    await until(world, lambda: len(slack.messages) == 2 and bool(world.desk.health()))
    assert "planted" not in str(world.desk.health())
    assert "toy" in str(world.desk.health())
    await world.say(alert("first", "resolved", at=world.now))
    await until(world, lambda: "Resolved" in slack.messages[0].text)
    toy.fault = None
    await until(world, lambda: len(toy.states) > posted and world.desk.health() is None)
    await until(world, lambda: toy.states[0].status == "resolved")
    assert {state.chief.labels["team"] for state in toy.states} == {"first", "second"}
    assert len(slack.messages) == 2


async def test_a_notifier_that_refuses_for_good_keeps_no_other_from_posting(
    slack: FakeSlack, beside: Any
) -> None:
    toy = Threads()
    toy.fault = lambda: Answer(Do.SIMPLIFY, "too_long", "too_long")
    world = await beside(toy)
    await world.say(alert())
    assert len(slack.messages) == 1
    assert world.desk.health() == "toy, channel #alerts: too_long"


async def test_a_storm_in_one_is_no_digest_of_what_the_other_has_posted(
    slack: FakeSlack, beside: Any
) -> None:
    """Else the messages that people have already would be orphans."""
    toy = Threads()
    world = await beside(toy)
    toy.fault = FAULTS["away"]
    teams = [f"team-{number}" for number in range(8)]
    for team in teams:
        await world.say(alert(team, at=world.now))
        world.now += 2 * SECOND
    assert len(slack.messages) == 8
    toy.fault = None
    await world.wait(2 * MINUTE)
    await world.say(*(alert(team, "resolved", at=world.now) for team in teams))
    await world.wait(2 * MINUTE)
    assert len(slack.messages) == 8
    assert all("Resolved" in message.text for message in slack.messages)
    assert {state.status for state in toy.states} == {"resolved"}


async def test_records_of_a_version_with_one_place_go_on_editing_the_same_message(
    slack: FakeSlack, beside: Any
) -> None:
    """The fields as they lay on the topic before there could be several notifiers."""
    world = World(slack)
    await world.start()
    await world.say(alert(level="50%"))
    incident = kept(world)
    (case,) = (entry for entry in world.written() if isinstance(entry, Case))
    (message,) = slack.messages
    sent = incident.sent["slack"]
    former = {
        "type": "incident", "id": incident.id, "channel": "#alerts", "since": NOW, "born": NOW, "until": None,
        "posted": True, "place": [message.channel, message.ts], "doubt": False, "shown": sent.shown,
        "spoke": NOW, "again": 0, "acknowledged": None, "unheard": "", "hushed": False, "asked": False,
        "said": [], "left": 0, "digest": False, "late": None,
    }  # fmt: skip
    told = {
        "type": "alert", "alert": msgspec.to_builtins(case.alert), "fresh": True, "group": case.group, "incident": incident.id,
        "told": ["firing", "50%", ""],
    }  # fmt: skip
    await world.stop()
    world.incidents = {incident.key: json.dumps(former).encode(), case.key: json.dumps(told).encode()}
    await world.start()
    world.now += MINUTE
    await world.say(alert("search", "resolved", level="50%", at=world.now))
    await world.wait(10 * MINUTE)
    assert len(slack.messages) == 1
    assert "Resolved" in message.text
    assert [text.rpartition("> ")[2] for text in message.thread] == ["resolved after 1 min"]
    await world.stop()

"""What a message, a verdict and a list say of money moves with the spend, without news in the thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from desks import MINUTE, NOW, SECOND, World, alert
from llmvitals.record.incident import Case
from llmvitals.record.verdict import Gate, Verdict
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeSlack(["#alerts"]) as slack:
        world = World(slack)
        await world.start()
        yield world
        await world.desk.stop()


def spend(world: World, dollars: float, *, at: int = 0, **changes: Any) -> Any:
    """The record of a spend; the alert on 50 % was at NOW."""
    fields = {"level": "50%", "value": dollars, "peak": dollars, "at": at or world.now, "changed": NOW}
    return alert(**({"update": True} | fields | changes))


async def test_an_update_is_an_edit_and_no_reply(world: World) -> None:
    await world.say(spend(world, 64.0, update=False))
    (message,) = world.slack.messages
    for minute in range(1, 6):
        world.now = NOW + minute * MINUTE
        await world.say(spend(world, 64.0 + minute))
    assert "$69" in message.shown
    assert "$64" not in message.shown
    assert message.thread == []
    assert len(message.edits) == 5


async def test_many_updates_are_one_edit(world: World) -> None:
    await world.say(spend(world, 64.0, update=False))
    (message,) = world.slack.messages
    for second in range(1, 60):
        world.now = NOW + second * SECOND
        await world.say(spend(world, 64.0 + second / 100))
    assert len(message.edits) <= 2
    await world.wait(MINUTE, step=SECOND)
    assert "$64.59" in message.shown


async def test_a_change_is_shown_at_once(world: World) -> None:
    await world.say(spend(world, 64.0, update=False))
    (message,) = world.slack.messages
    world.now += SECOND
    await world.say(spend(world, 65.0))
    world.now += SECOND
    await world.say(spend(world, 96.0, level="95%", update=False, changed=world.now))
    assert "$96" in message.shown
    assert len(message.thread) == 1


async def test_a_verdict_a_point_and_the_message_have_one_figure(world: World) -> None:
    blocks = {"verdict": "block", "gate": Gate({"team": "search"}), "level": "100%"}
    await world.say(spend(world, 100.0, update=False, **blocks))
    world.now += MINUTE
    await world.say(spend(world, 400.0, **blocks))
    (message,) = world.slack.messages
    verdict = Verdict.decode(world.verdicts[-1].value or b"")
    assert (verdict.spent, verdict.overshoot, verdict.at) == (400.0, 300.0, world.now)
    assert verdict.since == NOW, "the block began when the spend came to the limit"
    assert "$400 of $100" in message.shown
    (case,) = [one for one in world.written() if isinstance(one, Case)]
    assert (case.alert.value, case.alert.peak) == (400.0, 400.0)
    assert [point.tags["state"] for point in world.points] == ["firing", "update"]
    assert world.points[-1].measures["peak"] == 400.0


async def test_an_update_does_not_make_a_held_alert_young(world: World) -> None:
    """An alert of an hour ago is held; that its value moves now says nothing of what ended meanwhile."""
    await world.say(spend(world, 64.0, update=False, at=NOW - 60 * MINUTE))
    await world.say(spend(world, 65.0))
    assert world.slack.messages == []


async def test_an_update_of_an_unknown_alert_is_told(world: World) -> None:
    """The record of its beginning is gone: the update is all that is known, and it fires."""
    await world.say(spend(world, 70.0))
    (message,) = world.slack.messages
    assert "$70 of $100" in message.shown


async def test_after_a_restart_the_message_goes_on(world: World) -> None:
    await world.say(spend(world, 64.0, update=False))
    (message,) = world.slack.messages
    await world.restart()
    world.now += MINUTE
    await world.say(spend(world, 71.0))
    assert "$71" in message.shown
    assert (len(world.slack.messages), message.thread) == (1, [])
    assert json.dumps(message.blocks).count("$64") == 0


async def test_a_repeat_does_not_wait_for_values(world: World) -> None:
    """It is due after four hours, also when the message was edited a moment before."""
    await world.say(spend(world, 64.0, update=False))
    (message,) = world.slack.messages
    world.now = NOW + 240 * MINUTE - 10 * SECOND
    await world.say(spend(world, 65.0))
    world.now = NOW + 240 * MINUTE
    await world.tick(2)
    assert "Still firing" in message.shown

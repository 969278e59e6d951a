"""After a downtime: what still fires is told late and says so, what is over by then is only counted."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from desks import DAY, HOUR, MINUTE, NOW, SECOND, World, alert, slow
from llmvitals.meters import Unmetered
from llmvitals.record.matcher import parsed
from llmvitals.record.verdict import Gate
from llmvitals.routing import Inhibition, Route, Routing
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AGO = NOW - HOUR
STEERING: dict[str, Any] = {"gate": Gate({"team": "search"}), "verdict": "block"}
LATE = (
    "Sent late: llmvitals was down or behind until "
    "<!date^1735732920^{date_short_pretty} {time}|2025-01-01 12:02 UTC>"
)


class Counted(Unmetered):
    """Meters that tests read."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()
        self.notes: dict[str, str | None] = {}

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        if name == "notifications":
            self.results[labels["result"]] += value

    def note(self, who: str, text: str | None) -> None:
        self.notes[who] = text


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(["#alerts", "#budget"]) as fake:
        yield fake


@pytest.fixture
async def make(slack: FakeSlack) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def start(*routes: Route, **changes: Any) -> World:
            world = World(slack, Routing(routes, **changes))
            world.meters = Counted()
            return await stack.enter_async_context(world)

        yield start


async def caught_up(world: World, shards: int = 1) -> None:
    """Two minutes later all calls up to one minute ago have been counted."""
    world.now += 2 * MINUTE
    for shard in range(shards):
        world.upto(world.now - MINUTE, shard, shards)
    await world.tick(3)


async def test_what_still_fires_is_told_once_and_marked_and_what_ended_is_counted(
    slack: FakeSlack, make: Any
) -> None:
    """The issue's own case: merge, the sink, or both were off for an hour."""
    world = await make()
    meters = world.meters
    world.upto(AGO - MINUTE)
    await world.say(
        alert(at=AGO, begin=AGO, **STEERING),
        slow(at=AGO, begin=AGO),
        slow(status="resolved", at=AGO + 5 * MINUTE, begin=AGO),
    )
    world.upto(NOW - 20 * MINUTE)
    await world.tick(2)
    assert slack.messages == []
    assert world.verdicts == [], "nobody is blocked of whom nothing is told"
    assert "catching up, at event time 2025-01-01 11:40 UTC: 1 alert older than" in meters.notes["alerts"]
    assert "1 alert began and ended meanwhile" in meters.notes["alerts"]
    with capture_logs() as logs:
        await caught_up(world)
    (message,) = slack.messages
    assert f"{LATE}; 1 other alert began and ended meanwhile." in message.shown
    assert LATE in message.text
    assert "TeamBudget" in message.text
    assert world.verdicts[-1].value is not None
    assert meters.notes["alerts"] is None
    assert (meters.results["held"], meters.results["late"], meters.results["missed"]) == (2, 1, 1)
    late, over = [line["event"] for line in logs]
    assert late == "1 alert that llmvitals, being down or behind, read late: told now, as late"
    assert over.startswith(
        "1 alert began and ended while llmvitals was down or behind: SlowAnswers (1); nobody"
    )
    await caught_up(world)
    await world.restart()
    await caught_up(world)
    await world.say(alert(status="resolved", at=world.now, begin=AGO))
    assert len(slack.messages) == 1
    assert "Resolved" in message.text


async def test_where_all_of_it_is_over_one_line_in_the_log_says_so(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(AGO - MINUTE)
    for team in ("a", "b"):
        await world.take(alert(team, at=AGO, begin=AGO), alert(team, "resolved", at=AGO + 1, begin=AGO))
    await world.tick()
    with capture_logs() as logs:
        await caught_up(world)
        await caught_up(world)
    assert [line["event"] for line in logs if "TeamBudget (2)" in line["event"]] == [logs[0]["event"]]
    assert len(logs) == 1
    assert slack.messages == []


async def test_a_backfill_pages_nobody_however_long_its_alerts_fire(slack: FakeSlack, make: Any) -> None:
    """Its event time goes on at the clock's pace at most, and so never comes to the present."""
    world = await make()
    month = 30 * DAY
    await world.take(alert(at=NOW - month, begin=NOW - month, **STEERING))
    for _ in range(24):
        world.now += HOUR
        world.upto(world.now - month)
        await world.tick()
    assert slack.messages == []
    assert world.verdicts == []


async def test_a_replay_of_merge_pages_nobody_although_it_had_caught_up_before(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    world.upto(NOW - SECOND)
    await world.say(alert(at=NOW - 9 * DAY, begin=NOW - 9 * DAY))
    world.upto(NOW - 8 * DAY)
    await world.say(alert(status="resolved", at=NOW - 8 * DAY, begin=NOW - 9 * DAY))
    await caught_up(world)
    assert slack.messages == []


async def test_every_shard_has_to_catch_up(slack: FakeSlack, make: Any) -> None:
    """The end of an alert comes from its own shard, and what mutes it may come from another."""
    world = await make()
    world.upto(AGO, 0, 3)
    await world.say(alert(at=AGO, begin=AGO))
    world.now += 2 * MINUTE
    world.upto(world.now, 0, 3)
    world.upto(world.now, 1, 3)
    await world.tick(2)
    assert slack.messages == []
    assert "(shard 2 of merge has said nothing yet)" in world.meters.notes["alerts"]
    world.upto(NOW - 20 * MINUTE, 2, 3)
    await world.tick(2)
    assert slack.messages == []
    world.upto(world.now, 2, 3)
    await world.tick(2)
    assert len(slack.messages) == 1


async def test_the_end_of_what_is_held_is_awaited_across_restarts(slack: FakeSlack, make: Any) -> None:
    """A worker that is killed while it catches up tells the same in the end."""
    world = await make()
    world.upto(AGO)
    await world.take(alert("a", at=AGO, begin=AGO), alert("b", at=AGO, begin=AGO))
    await world.tick()
    world.now += MINUTE
    world.upto(NOW)
    await world.restart()  # what is heard at the start says nothing about what is read after it
    await world.tick(2)
    assert slack.messages == []
    await world.take(alert("a", "resolved", at=AGO + MINUTE, begin=AGO))
    await caught_up(world)
    (message,) = slack.messages
    assert "team b" in message.text
    assert "Sent late" in message.text


async def test_a_crash_while_it_is_told_late_posts_nothing_twice(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.settings = world.settings.model_copy(update={"slack_channel": slack.channels["#alerts"]})
    await world.restart()
    world.upto(AGO)
    await world.take(alert(at=AGO, begin=AGO, **STEERING))
    await world.tick()
    world.now += 2 * MINUTE
    world.upto(world.now)
    await world.desk.tick()  # what it gives never reaches Kafka
    assert slack.messages == []
    await world.restart()
    await world.tick()
    world.upto(world.now)
    await world.tick()
    await world.desk.tick()  # nor what this one gives
    assert len(slack.messages) == 1
    await world.restart()
    await caught_up(world)
    assert len(slack.messages) == 1
    assert world.verdicts[-1].value is not None


async def test_a_message_from_before_the_downtime_turns_green_at_once(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(NOW)
    await world.say(alert())
    world.now += 2 * HOUR
    await world.restart()
    await world.say(alert(status="resolved", at=NOW + HOUR))
    (message,) = slack.messages
    assert "Resolved" in message.text
    assert "Sent late" not in message.text


async def test_what_ended_and_began_again_in_the_downtime_is_told_late(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(NOW)
    await world.say(slow())
    world.now += 2 * HOUR
    await world.restart()
    again = NOW + 90 * MINUTE
    await world.take(slow(status="resolved", at=NOW + HOUR), slow(at=again, begin=again))
    await world.tick(2)
    assert ["Resolved" in message.text for message in slack.messages] == [True]
    await caught_up(world)
    assert ["Sent late" in message.text for message in slack.messages] == [False, True]
    # The same with an end just before: the message opens again, and is marked.
    over, once_more = world.now, world.now + 2 * MINUTE
    world.now += HOUR
    await world.take(slow(status="resolved", at=over, begin=again), slow(at=once_more, begin=once_more))
    await caught_up(world)
    assert len(slack.messages) == 2
    assert "Resolved" not in slack.messages[1].text
    assert "|2025-01-01 15:04 UTC>" in slack.messages[1].text


async def test_the_young_of_a_group_are_told_at_once_and_the_old_join_them(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    world.upto(AGO)
    await world.say(slow("old", at=AGO, begin=AGO), slow("young", at=NOW - MINUTE, begin=NOW - MINUTE))
    (message,) = slack.messages
    assert "Sent late" not in message.text
    await caught_up(world)
    assert "2 alerts" in message.text
    assert "Sent late" in message.text
    assert len(slack.messages) == 1


async def test_a_change_in_the_present_tells_what_was_held(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(AGO)
    await world.say(alert(at=AGO, begin=AGO, level="80%"))
    await world.say(alert(at=NOW, begin=AGO, level="100%"))
    assert len(slack.messages) == 1
    await caught_up(world)
    assert slack.messages[0].edits == []


async def test_silences_hold_by_the_clock_when_it_is_told(slack: FakeSlack, make: Any) -> None:
    """One that ended in the downtime mutes nothing, one that still lasts mutes what is told late too."""
    world = await make()
    world.upto(NOW)
    world.act(world.silence("app=over", last=30 * MINUTE))
    world.act(world.silence("app=lasts", id="s2", last=DAY))
    await world.tick()
    world.now += 2 * HOUR
    await world.restart()
    begin = NOW + MINUTE
    fields = {"at": begin, "begin": begin}
    await world.take(slow("over", **fields), slow("lasts", rule="Other", **fields))
    await caught_up(world)
    (message,) = slack.messages
    assert "over" in message.text


async def test_what_mutes_and_what_is_muted_are_told_together(slack: FakeSlack, make: Any) -> None:
    outage = Inhibition((parsed("rule=ProviderFails"),), (parsed("rule=SlowAnswers"),), ())
    world = await make(inhibitions=(outage,))
    world.upto(AGO)
    fields = {"at": AGO, "begin": AGO}
    await world.take(slow(**fields), slow("openai", rule="ProviderFails", **fields))
    await world.tick()
    await caught_up(world)
    (message,) = slack.messages
    assert "ProviderFails" in message.text


async def test_the_wait_of_a_group_begins_when_it_may_be_told(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(wait=30 * SECOND))
    world.upto(AGO)
    await world.take(slow(at=AGO, begin=AGO))
    await caught_up(world)
    assert slack.messages == []
    await world.wait(MINUTE, SECOND)
    assert len(slack.messages) == 1


async def test_many_at_once_are_one_digest_that_is_marked(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(AGO)
    for team in range(9):
        await world.take(alert(f"t{team}", at=AGO, begin=AGO))
    await world.take(alert("t0", "resolved", at=AGO + 1, begin=AGO))
    await caught_up(world)
    (message,) = slack.messages
    assert "8 alerts: budget of team" in message.text
    assert "; 1 other alert began and ended meanwhile." in message.shown


async def test_a_block_from_before_the_downtime_holds_until_it_is_over(make: Any) -> None:
    world = await make()
    world.upto(NOW)
    await world.say(alert(**STEERING))
    world.now += HOUR
    await world.restart()
    await world.tick()
    assert world.verdicts[-1].value is not None
    await world.take(alert(status="resolved", at=NOW + 30 * MINUTE, **STEERING))
    assert world.verdicts[-1].value is None


async def test_a_downtime_of_days_is_told_like_one_of_an_hour(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(NOW - 3 * DAY)
    await world.take(alert(at=NOW - 3 * DAY, begin=NOW - 3 * DAY), written=NOW - 3 * DAY)
    await world.tick()
    await caught_up(world)
    assert len(slack.messages) == 1


async def test_an_hour_without_slack_is_no_downtime(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.upto(NOW)
    slack.fail_next(status=503, times=10_000)
    await world.say(alert(**STEERING))
    await world.wait(HOUR)
    slack.heal()
    await world.wait(2 * MINUTE, SECOND)
    (message,) = slack.messages
    assert "Sent late" not in message.text

"""The life of an incident: what people see in Slack, and when."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from desks import DAY, HOUR, MINUTE, NOW, SECOND, World, alert, slow
from llmvitals.notify.slack.bot import Bot
from llmvitals.record.incident import Case
from llmvitals.record.log import Message, Topic
from llmvitals.record.matcher import parsed
from llmvitals.record.user_action import encode
from llmvitals.record.verdict import Gate
from llmvitals.routing import EACH, Inhibition, MuteTime, Route, Routing
from llmvitals.rules.engine import load_engine
from llmvitals.testing import FakeSlack
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmvitals.notify.protocol import Notifier
    from llmvitals.notify.slack.buttons import Buttons

CHANNELS = ["#alerts", "#budget"]
ALERTS = Path(__file__).parents[2] / "alerts"


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(CHANNELS) as fake:
        yield fake


@pytest.fixture
async def make(slack: FakeSlack) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def start(*routes: Route, notifier: Notifier | None = None, **changes: Any) -> World:
            names = {"inhibitions", "mute_times"} & set(changes)
            routing = Routing(routes, **{name: changes.pop(name) for name in names})
            world = World(slack, routing, **changes)
            if notifier is not None:
                world.notifiers = [notifier]
            return await stack.enter_async_context(world)

        yield start


# --- one message per incident --------------------------------------------------------------------


async def test_an_incident_is_one_message_edited_at_each_change_and_green_in_the_end(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(alert(level="50%"))
    (message,) = slack.messages
    assert "TeamBudget" in message.text
    assert message.thread == []

    world.now += MINUTE
    await world.say(alert(level="95%", value=96.0, at=world.now))
    assert len(message.edits) == 1
    assert "$96 of $100" in message.shown
    assert "rose to 95%" in message.thread[0]

    world.now += 71 * MINUTE
    await world.say(alert(status="resolved", at=world.now))
    assert "Resolved" in message.text
    assert "1 h 12 min" in message.shown
    assert "resolved after 1 h 12 min" in message.thread[1]
    assert len(slack.messages) == 1
    assert world.states() == [("firing", "search"), ("level", "search"), ("resolved", "search")]


async def test_news_in_the_thread_wait_for_the_interval_but_the_message_does_not(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(slow("chat"))
    world.now += MINUTE
    await world.say(slow("code", at=world.now))
    (message,) = slack.messages
    assert "2 alerts" in message.text
    assert message.thread == []
    await world.wait(3 * MINUTE)
    assert message.thread == []
    await world.wait(MINUTE)
    assert len(message.thread) == 1
    assert "code" in message.thread[0]


async def test_what_comes_and_goes_between_two_news_is_never_told(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(slow("chat"))
    world.now += MINUTE
    await world.say(slow("code", at=world.now), slow("code", "resolved", at=world.now + 1))
    await world.wait(10 * MINUTE)
    assert slack.messages[0].thread == []


async def test_records_that_come_again_change_nothing(slack: FakeSlack, make: Any) -> None:
    life = [alert(level="50%"), alert(level="80%", at=NOW + 1), alert(status="resolved", at=NOW + 2)]
    world = await make()
    for change in life:
        await world.say(change)
    await world.wait(10 * MINUTE)
    seen = [(m.text, len(m.edits), m.thread) for m in slack.messages]
    await world.say(*life)
    await world.restart()
    await world.say(*life)
    await world.wait(10 * MINUTE)
    assert [(m.text, len(m.edits), m.thread) for m in slack.messages] == seen


async def test_an_alert_that_is_over_before_the_wait_is_told_to_nobody(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(wait=30 * SECOND))
    await world.take(slow())
    await world.wait(20 * SECOND, SECOND)
    await world.take(slow(status="resolved", at=world.now))
    await world.wait(10 * MINUTE)
    assert slack.messages == []
    assert world.states() == [("firing", "chat"), ("resolved", "chat")]


async def test_what_joins_within_the_wait_is_in_the_first_message(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(wait=30 * SECOND))
    await world.take(slow("chat"))
    await world.wait(29 * SECOND, SECOND)
    await world.take(slow("code", at=world.now))
    assert slack.messages == []
    await world.wait(2 * SECOND, SECOND)
    (message,) = slack.messages
    assert "2 alerts" in message.text
    await world.wait(HOUR)
    assert message.thread == []


async def test_the_same_alert_soon_after_its_end_opens_the_same_message_again(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(slow())
    await world.wait(6 * MINUTE)
    await world.say(slow(status="resolved", at=world.now))
    again = world.now + 4 * MINUTE
    world.now = again
    await world.say(slow(at=again, begin=again))
    (message,) = slack.messages
    assert "Resolved" not in message.text
    await world.wait(6 * MINUTE)
    assert "fires again" in message.thread[-1]
    await world.say(slow(status="resolved", at=world.now, begin=again))
    later = world.now + 6 * MINUTE
    world.now = later
    await world.say(slow(at=later, begin=later))
    assert len(slack.messages) == 2


async def test_a_flapping_alert_is_one_line_of_its_message(slack: FakeSlack, make: Any) -> None:
    world = await make()
    for _ in range(20):
        begin = world.now
        await world.say(slow(at=begin, begin=begin))
        world.now += 30 * SECOND
        await world.say(slow(status="resolved", at=world.now, begin=begin))
        world.now += 30 * SECOND
    (message,) = slack.messages
    assert "alerts" not in message.text
    assert len(message.thread) <= 5


async def test_a_repeat_edits_and_says_for_how_long(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(repeat=4 * HOUR))
    await world.say(alert())
    await world.wait(8 * HOUR + MINUTE, 10 * MINUTE)
    (message,) = slack.messages
    assert len(message.edits) == 2
    assert "Still firing, 8 h" in message.shown
    assert message.thread == []


async def test_groups_are_told_apart_by_their_labels_and_routes(slack: FakeSlack, make: Any) -> None:
    world = await make(
        Route(matchers=(parsed("kind=budget"),), channel="#budget", group_by=("severity",)),
        Route(group_by=(EACH,)),
    )
    await world.say(alert("a"), alert("b"), slow("chat"), slow("code"))
    shown = [(message.channel_name, "2 alerts" in message.text) for message in slack.messages]
    assert sorted(shown) == [("#alerts", False), ("#alerts", False), ("#budget", True)]


async def test_a_rules_own_channel_goes_before_its_routes(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(alert("a", notify={"slack": "#budget"}), alert("b"))
    assert {m.channel_name for m in slack.messages} == {"#budget", "#alerts"}


# --- age -----------------------------------------------------------------------------------------


async def test_an_alert_that_was_old_when_it_was_written_pages_nobody(slack: FakeSlack, make: Any) -> None:
    """So a replay of last week's calls is silent; its points are written."""
    world = await make()
    await world.say(alert(at=NOW - 16 * MINUTE), alert("b", at=NOW - DAY))
    await world.say(alert(status="resolved", at=NOW - 15 * MINUTE))
    assert slack.messages == []
    assert len(world.points) == 3
    await world.say(alert("b", level="80%", at=NOW))
    assert len(slack.messages) == 1


async def test_an_alert_that_lay_for_an_hour_is_still_told_but_not_after_a_day(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    written, world.now = world.now, world.now + HOUR
    await world.take(alert("a"), written=written)
    await world.tick(2)
    assert len(slack.messages) == 1
    world.now += DAY
    await world.take(alert("b"), written=written)
    await world.tick(2)
    assert len(slack.messages) == 1


async def test_what_is_long_over_is_forgotten(make: Any) -> None:
    world = await make()
    await world.say(alert(), alert("b"))
    await world.say(alert(status="resolved", at=NOW + 1))
    await world.wait(DAY + HOUR, 30 * MINUTE)
    assert {type(one).__name__: one.id for one in world.written()} == {
        "Incident": world.open()[0].id,
        "Case": alert("b").episode,
    }


# --- what mutes ----------------------------------------------------------------------------------


async def test_a_silenced_alert_is_not_told_until_the_silence_ends(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.act(world.silence("team=search"))
    await world.tick()
    await world.say(alert())
    assert slack.messages == []
    assert world.open()[0].unheard == "silenced by Ann until 2025-01-01 13:00 UTC"
    assert world.states() == [("firing", "search"), ("silenced", "search")]
    assert world.points[1].texts["by"] == "Ann"
    await world.wait(59 * MINUTE)
    assert slack.messages == []
    await world.wait(2 * MINUTE)
    assert len(slack.messages) == 1


async def test_a_message_that_is_silenced_says_so_and_hears_nothing_until_the_end(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(alert())
    (message,) = slack.messages
    world.act(world.silence("rule=TeamBudget"))
    await world.tick()
    assert "ilenced by Ann" in message.shown
    await world.say(alert(level="100%", value=101.0, at=world.now + 1))
    assert message.thread == []
    await world.restart()
    await world.wait(61 * MINUTE)
    assert "ilenced by Ann" not in message.shown
    assert len(message.thread) == 1
    assert "rose to 100%" in message.thread[0]


async def test_an_alert_that_ends_while_it_is_silenced_turns_green_without_a_word(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(alert())
    world.act(world.silence("team=search"))
    await world.tick()
    await world.say(alert(status="resolved", at=world.now + 1))
    await world.wait(2 * HOUR)
    await world.restart()
    await world.wait(HOUR)
    (message,) = slack.messages
    assert "Resolved" in message.text
    assert message.thread == []


@pytest.mark.parametrize(
    "changes",
    [
        {"matchers": []},
        {"matchers": [{"name": "team", "op": "=~", "value": "("}]},
        {"matchers": [{"name": "team", "op": "=~", "value": "(.*)*x"}]},
        {"matchers": [{"name": "team", "op": "=~", "value": "a" * 100_000}]},
        {"matchers": [{"name": "team", "op": "~", "value": "search"}]},
        {"ends": 10**30},
        {"starts": -1},
        {"by": "A" * 2_000_000},
    ],
    ids=["all", "regex", "endless", "long", "op", "late", "early", "huge"],
)
async def test_what_is_no_silence_mutes_nothing_and_stops_nobody(
    slack: FakeSlack, make: Any, changes: dict[str, Any]
) -> None:
    """Anybody may write to that topic, and what lies there is read again by each new owner."""
    world = await make()
    silence = json.loads(encode(world.silence("team=search"))) | changes
    world.keep([Message(Topic.SILENCES, b"silence/s1", json.dumps(silence).encode())])
    await world.say(alert())
    assert len(slack.messages) == 1
    assert not world.open()[0].unheard
    await world.restart()
    await world.say(alert("chat"))
    assert len(slack.messages) == 2


async def test_edits_in_many_channels_hold_up_nobody_for_long_and_are_all_made(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack takes some 50 a minute over all channels; meanwhile verdicts and new alerts are waiting."""
    waits = [0.0]

    async def wait(_: World, seconds: float) -> None:
        waits.append(seconds)  # all channels wait beside one another

    monkeypatch.setattr(World, "_sleep", wait)
    names = [f"#team-{number}" for number in range(40)]
    async with FakeSlack(["#alerts", *names]) as slack:
        world = await make(slack_api_url=slack.url, slack_token=slack.token)
        for name in names:
            await world.say(alert(name, level="50%", notify={"slack": name}))
        assert len(slack.messages) == 40
        world.now += MINUTE
        changes = {"level": "95%", "value": 96.0, "at": world.now}
        await world.take(*(alert(name, notify={"slack": name}, **changes) for name in names))
        await world.wait(MINUTE, step=SECOND)
        assert max(waits) < 3
        assert all("$96" in message.text for message in slack.messages)


async def test_what_cant_be_read_of_the_last_owners_memory_is_said(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(alert())
    world.incidents[b"alert/x"] = b'{"type": "alert"}'
    with capture_logs() as logs:
        await world.restart()
    assert [line["event"] for line in logs] == ["a record on the incidents topic can't be read"]
    await world.say(alert(status="resolved", at=NOW + MINUTE))
    (message,) = slack.messages
    assert "Resolved" in message.text


async def test_a_new_owner_knows_whom_to_let_go_of_before_its_first_tick(make: Any) -> None:
    world = await make()
    await world.say(alert(gate=Gate({"team": "search"}), verdict="block"))
    assert world.verdicts[-1].value is not None
    await world.restart()
    await world.say(alert(gate=None, verdict="", level="150%", at=NOW + 1))
    assert world.verdicts[-1].value is None


async def test_an_expired_silence_is_over_at_once(slack: FakeSlack, make: Any) -> None:
    world = await make()
    silence = world.silence("team=search")
    world.act(silence)
    await world.tick()
    await world.say(alert())
    world.now += MINUTE
    world.act(world.silence("team=search", last=0, starts=silence.starts))
    await world.tick(2)
    assert len(slack.messages) == 1


async def test_a_silence_until_resolved_ends_with_its_incident(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(slow())
    incident = world.open()[0].id
    world.act(world.silence("rule=SlowAnswers", last=30 * DAY, incident=incident))
    await world.tick()
    world.now += 10 * MINUTE
    await world.say(slow(status="resolved", at=world.now))
    (ended,) = world.acts()
    assert ended.ends == world.now
    world.now += 10 * MINUTE
    await world.say(slow(at=world.now, begin=world.now))
    assert len(slack.messages) == 2


async def test_a_partly_silenced_group_tells_of_the_rest(slack: FakeSlack, make: Any) -> None:
    world = await make()
    world.act(world.silence("app=chat"))
    await world.tick()
    await world.say(slow("chat", severity="critical"), slow("code"))
    (message,) = slack.messages
    assert "Latency p95 of code" in message.text
    assert "🔕 `chat`" in message.shown
    assert "2 alerts" not in message.shown
    assert world.open()[0].unheard == ""
    await world.say(slow("docs"))
    await world.wait(6 * MINUTE)
    assert "2 alerts: latency p95 of app" in message.text
    await world.say(slow("docs", "resolved", at=world.now))
    assert "1 of 2 alerts" in message.text


OUTAGE = Inhibition((parsed("rule=Outage"),), (parsed("rule=SlowAnswers"),), ("provider",))


def outage(status: str = "firing", **changes: Any) -> Any:
    labels = {"app": "", "provider": "openai"}
    return slow("", status, **{"rule": "Outage", "labels": labels, **changes})


async def test_an_outage_mutes_the_slow_apps_under_it(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(group_by=(EACH,)), inhibitions=(OUTAGE,))
    one, other = ({"app": name, "provider": name} for name in ("openai", "mistral"))
    await world.say(outage(), slow(labels=one), slow(labels=other))
    assert len(slack.messages) == 2
    assert {incident.unheard for incident in world.open()} == {"", "Outage fires for openai"}
    world.now += MINUTE
    await world.say(outage("resolved", at=world.now))
    assert len(slack.messages) == 3


async def test_what_an_outage_muted_may_end_a_moment_after_it(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(wait=30 * SECOND), inhibitions=(OUTAGE,))
    muted = {"labels": {"app": "chat", "provider": "openai"}}
    await world.say(outage(), slow(**muted))
    await world.wait(10 * MINUTE)
    await world.say(outage("resolved", at=world.now))
    await world.wait(10 * SECOND, SECOND)
    await world.say(slow(status="resolved", at=world.now, **muted))
    await world.wait(10 * MINUTE)
    assert ["Outage" in message.text for message in slack.messages] == [True]


async def test_an_outage_too_old_to_be_told_mutes_nothing(slack: FakeSlack, make: Any) -> None:
    world = await make(inhibitions=(OUTAGE,))
    await world.say(outage(at=NOW - HOUR), slow(labels={"app": "chat", "provider": "openai"}))
    assert len(slack.messages) == 1
    assert "SlowAnswers" in slack.messages[0].text


async def test_a_mute_time_holds_back_and_its_end_tells(slack: FakeSlack, make: Any) -> None:
    noon = MuteTime("lunch", spans=((12 * 60, 13 * 60),))
    world = await make(Route(mute=("lunch",)), mute_times={"lunch": noon})
    await world.say(alert())
    assert slack.messages == []
    assert world.open()[0].unheard == "muted: lunch"
    await world.wait(61 * MINUTE)
    assert len(slack.messages) == 1


# --- what people do ------------------------------------------------------------------------------


async def test_an_acknowledgement_is_told_once_and_ends_the_repeats(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(alert())
    world.now += MINUTE
    world.act(world.ack())
    await world.tick()
    (message,) = slack.messages
    assert "Acknowledged by Ann" in message.shown
    assert "acknowledged by Ann" in message.thread[0]
    edits = len(message.edits)
    await world.restart()
    await world.wait(9 * HOUR, 10 * MINUTE)
    assert (len(message.edits), len(message.thread)) == (edits, 1)
    assert world.states() == [("firing", "search"), ("acknowledged", "search")]
    assert (world.points[1].texts["by"], world.points[1].measures["seconds"]) == ("Ann", 60.0)


async def test_acknowledging_what_is_over_does_nothing_even_if_it_opens_again(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    await world.say(slow())
    ack = world.ack()
    world.now += MINUTE
    await world.say(slow(status="resolved", at=world.now))
    world.act(ack)
    await world.tick()
    world.now += MINUTE
    await world.say(slow(at=world.now, begin=world.now))
    await world.restart()
    await world.wait(10 * MINUTE)
    assert "cknowledged" not in slack.messages[0].shown + "".join(slack.messages[0].thread)


async def test_the_calls_are_shown_once(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(slow("chat", exemplars=["t-1", "t-2"]), slow("code", exemplars=["t-3"]))
    world.act(world.question())
    await world.tick()
    (message,) = slack.messages
    assert [name in message.thread[0] for name in ("t-1", "t-2", "t-3")] == [True] * 3
    world.act(world.question())
    await world.restart()
    await world.tick(3)
    assert len(message.thread) == 1


class Pressed:
    """Buttons that were pressed before somebody looks."""

    approves = False

    def __init__(self) -> None:
        self.acts: list[Any] = []
        self.open = False

    async def start(self) -> None:
        self.open = True

    async def stop(self) -> None:
        self.open = False

    def drain(self) -> list[Any]:
        acts, self.acts = self.acts, []
        return acts

    def health(self) -> str | None:
        return None if self.acts else "nobody presses"


async def test_buttons_become_acts_and_are_open_only_where_the_alerts_are(
    slack: FakeSlack, make: Any
) -> None:
    buttons = Pressed()
    bot = Bot(slack.token, slack.url, timeout=deadline(5), buttons=cast("Buttons", buttons))
    world = await make(notifier=bot)
    assert buttons.open
    await world.say(alert())
    buttons.acts = [world.ack()]
    await world.tick(2)
    assert "acknowledged by Ann" in slack.messages[0].thread[0]
    assert world.desk.health() == "nobody presses"
    buttons.acts = [world.question()]
    world.keep(await world.desk.rest())
    assert not buttons.open
    assert len(world.acts()) == 2
    assert await world.desk.rest() == []


# --- storms --------------------------------------------------------------------------------------


async def test_a_storm_is_one_digest_with_all_its_alerts(slack: FakeSlack, make: Any) -> None:
    """Not the text of the first alone: what is told is every alert, by name or by number."""
    world = await make()
    teams = [f"team-{n:02d}" for n in range(30)]
    await world.say(*map(alert, teams))
    (message,) = slack.messages
    assert "30 alerts: budget of team" in message.text
    assert sum(team in message.shown for team in teams) == 20
    assert "10 more" in message.shown
    cases = [one for one in world.written() if isinstance(one, Case)]
    assert [case.incident for case in cases] == [world.open()[0].id] * 30
    world.now += 6 * MINUTE
    await world.say(*(alert(team, "resolved", at=world.now) for team in teams[:29]))
    assert "1 of 30 alerts" in message.text
    await world.restart()
    await world.wait(6 * MINUTE)
    await world.say(alert(teams[29], "resolved", at=world.now))
    assert "Resolved: 30 alerts: budget of team" in message.text
    assert len(slack.messages) == 1


async def test_whom_the_route_mentions_is_called_once_and_a_digest_calls_too(
    slack: FakeSlack, make: Any
) -> None:
    world = await make(Route((parsed("severity=critical"),), mention=("<!here>",)))
    await world.say(alert())
    (message,) = slack.messages
    assert "<!here>" in message.text
    await world.wait(6 * MINUTE)
    await world.say(alert(verdict="block", level="100%", at=world.now))
    await world.say(alert("search", "resolved", at=world.now + 1))
    await world.wait(6 * MINUTE)
    assert "<!here>" not in message.text + message.shown + "".join(message.thread)
    assert len(message.thread) == 2
    await world.say(*(alert(f"team-{n}", at=world.now) for n in range(8)))
    assert "<!here>" in slack.messages[1].text
    assert len(slack.messages) == 2


async def test_a_route_without_a_thread_only_edits(slack: FakeSlack, make: Any) -> None:
    world = await make(Route(thread=False))
    await world.say(alert())
    await world.say(alert(level="100%", at=world.now + 1))
    await world.say(alert("search", "resolved", at=world.now + 2))
    (message,) = slack.messages
    assert message.thread == []
    assert "🟢" in message.text


async def test_five_at_once_are_no_storm_and_channels_have_their_own(slack: FakeSlack, make: Any) -> None:
    world = await make()
    far = {"notify": {"slack": "#budget"}}
    await world.take(*(alert(f"t{n}") for n in range(5)), *(alert(f"u{n}", **far) for n in range(6)))
    await world.wait(10 * SECOND, SECOND)
    assert [m.channel_name for m in slack.messages].count("#alerts") == 5
    assert [m.channel_name for m in slack.messages].count("#budget") == 1


async def test_what_comes_soon_after_a_storm_joins_its_digest(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(*(alert(f"t{n}") for n in range(6)))
    world.now += MINUTE
    await world.say(alert("late", at=world.now))
    assert len(slack.messages) == 1
    assert "7 alerts" in slack.messages[0].text
    world.now += 5 * MINUTE
    await world.say(alert("later", at=world.now))
    assert len(slack.messages) == 2


# --- Slack's troubles ----------------------------------------------------------------------------


async def test_an_outage_of_slack_stops_no_absorption_and_is_said(slack: FakeSlack, make: Any) -> None:
    world = await make()
    await world.say(alert("a"))
    slack.fail_next(status=503, times=10_000)
    await world.say(alert("b"))
    before = len(slack.requests)
    for minute in range(60):
        world.now += MINUTE
        await world.take(alert("a", level=f"{minute}%", value=float(minute), at=world.now))
        await world.tick()
    assert "Slack" in str(world.desk.health())
    assert len(slack.requests) - before < 130  # two a minute at most
    assert world.states()[-1] == ("level", "a")
    slack.heal()
    await world.wait(2 * MINUTE, SECOND)
    assert world.desk.health() is None
    first, second = slack.messages
    assert "$59 of $100" in first.text
    assert "rose to 59%" in first.thread[0]
    assert "$64 of $100" in second.text


async def test_after_an_hour_without_slack_few_are_told_in_their_order_and_many_in_a_digest(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    slack.fail_next(status=503, times=10_000)
    for number in range(3):
        await world.say(alert(f"few-{number}", at=world.now, begin=world.now))
        await world.wait(10 * MINUTE)
    slack.heal()
    await world.wait(MINUTE, SECOND)
    assert [f"few-{number}" in m.text for number, m in enumerate(slack.messages)] == [True] * 3
    slack.fail_next(status=503, times=10_000)
    for number in range(30):
        await world.say(alert(f"many-{number}", at=world.now, begin=world.now))
        await world.wait(2 * MINUTE)
    slack.heal()
    await world.wait(MINUTE, SECOND)
    # The one that was tried first may have been taken; it is looked for before it is told by itself.
    assert "many-0" in slack.messages[3].text
    assert "29 alerts" in slack.messages[4].text
    assert len(slack.messages) == 5


async def test_one_channels_trouble_holds_up_no_other(slack: FakeSlack, make: Any) -> None:
    world = await make()
    slack.fail_next(method="chat.postMessage", status=429, retry_after=60)
    await world.say(alert("a"), alert("b", notify={"slack": "#budget"}))
    assert len(slack.messages) == 1  # the other one was asked to wait
    await world.wait(61 * SECOND, SECOND)
    assert {m.channel_name for m in slack.messages} == {"#budget", "#alerts"}


async def test_content_that_is_refused_for_good_is_tried_again_only_when_it_changes(
    slack: FakeSlack, make: Any
) -> None:
    world = await make()
    slack.fail_next(method="chat.postMessage", error="some_new_error", times=2)
    await world.say(alert())
    await world.wait(10 * MINUTE)
    assert slack.messages == []
    world.now += SECOND
    await world.say(alert(level="80%", at=world.now))
    assert len(slack.messages) == 1


async def test_a_crash_between_slacks_answer_and_our_mark_posts_nothing_twice(
    slack: FakeSlack, make: Any
) -> None:
    world = await make(slack_channel=slack.channels["#alerts"])
    await world.take(alert("a"), alert("b"))
    await world.desk.tick()  # what it gives never reaches Kafka
    assert len(slack.messages) == 2
    await world.restart()
    await world.tick(2)
    await world.say(alert("a", "resolved", at=NOW + 1))
    assert len(slack.messages) == 2
    assert sorted("Resolved" in m.text for m in slack.messages) == [False, True]


async def test_a_crash_in_a_storm_posts_no_second_digest(slack: FakeSlack, make: Any) -> None:
    world = await make(slack_channel=slack.channels["#alerts"])
    await world.take(*(alert(f"t{n}") for n in range(30)))
    await world.tick()
    await world.desk.tick()
    await world.restart()
    await world.wait(MINUTE, SECOND)
    assert len(slack.messages) == 1


async def test_a_reply_is_not_said_twice_after_a_crash(slack: FakeSlack, make: Any) -> None:
    world = await make(slack_channel=slack.channels["#alerts"])
    await world.say(alert())
    await world.take(alert(level="100%", at=NOW + 1))
    await world.desk.tick()
    await world.restart()
    await world.wait(MINUTE)
    assert len(slack.messages[0].thread) == 1


async def test_without_the_scope_a_crash_costs_one_duplicate(make: Any) -> None:
    async with (
        FakeSlack(CHANNELS, scopes=["chat:write"]) as slack,
        World(slack, slack_channel=slack.channels["#alerts"]) as world,
    ):
        await world.take(alert())
        await world.desk.tick()
        await world.restart()
        await world.tick(2)
        await world.say(alert(status="resolved", at=NOW + 1))
    assert ["Resolved" in m.text for m in slack.messages] == [False, True]


async def test_a_webhook_tells_the_news_and_no_more(slack: FakeSlack, make: Any) -> None:
    world = await make(slack_token=None, slack_channel=None, slack_webhook=slack.webhook_url)
    await world.say(alert(level="50%"))
    await world.say(alert(level="50%", value=66.0, at=NOW + 1))
    await world.say(alert(level="80%", at=NOW + 2))
    await world.wait(6 * MINUTE)
    await world.say(alert(status="resolved", at=world.now))
    assert len(slack.messages) == 3
    assert "Resolved" in slack.messages[-1].text


async def test_ten_series_that_change_at_once_are_one_message(slack: FakeSlack, make: Any) -> None:
    """By the starter set's own routes: nobody is told ten times that something changed."""
    world = await make()
    world.desk.adopt(load_engine(ALERTS, 10 * SECOND).rules.routing)
    fields = {"rule": "SomethingChanged", "kind": "change", "metric": "changes", "unit": "count"}
    note = "latency p95 1.2 s → 1.9 s since 12:00 UTC"
    for number in range(10):
        await world.take(
            slow(f"app-{number}", severity="info", note=note, value=1.0, limit=0.0, at=world.now, **fields)
        )
        await world.wait(20 * SECOND, SECOND)
    assert slack.messages == []
    await world.wait(3 * MINUTE, SECOND)
    (message,) = slack.messages
    assert "10 alerts: sudden changes of app · info · SomethingChanged" in message.text
    assert message.shown.count("latency p95 1.2 s → 1.9 s since <!date^") == 10
    await world.wait(HOUR)
    assert len(slack.messages) == 1
    assert message.thread == []

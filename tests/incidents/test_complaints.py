"""What people complained about elsewhere (the end of ALERTS.md), each a test by its number."""

from __future__ import annotations

import pytest

from desks import MINUTE, NOW, World, alert
from llmvitals.notify.slack.actions import SILENCE
from llmvitals.testing import FakeSlack
from panes import PANE, rule_engine, rule_outputs, transitions, vitals, walk
from panes import alerts as spoken
from spend import DAY, HOUR, brief, call, moment, replayed, stages

FIRST = 1_700_000_000_000_000 // PANE // 6 * 6


@pytest.mark.parametrize("calls", [1, 2, 19])
@pytest.mark.parametrize("mode", ["ok", "keep", "alert", "no_data"])
def test_p99_of_two_calls_pages_nobody(tmp_path, calls, mode):
    """Without a word about min_calls in the rule; and the two calls alone are no lack of data either."""
    watched = rule_engine(
        tmp_path, f"alert: Slow\nthreshold: {{metric: latency_p99, above: 4s}}\nno_data: {mode}"
    )
    slow = vitals(ms=(60_000.0,) * calls)
    assert walk(watched, {FIRST: slow, FIRST + 500: slow}, FIRST + 20_000) == []


def test_langfuse_16178_a_monitor_that_can_not_say_says_so(tmp_path):
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 1m}\nfor: 1m\nno_data: no_data"
    well = vitals(ms=(100.0,) * 20)
    (stuck,) = walk(rule_engine(tmp_path, rule), {FIRST: well, FIRST + 1: well}, FIRST + 60)
    assert (stuck.status, stuck.level, stuck.at // PANE - FIRST) == ("firing", "no data", 8 + 6)
    assert stuck.summary == "Slow has too few calls: 0 within 1m, 20 are needed: all calls"


def test_langfuse_16178_a_pending_alert_is_not_stuck_when_calls_stop(tmp_path):
    """Time alone takes it on: it fires when `for` is over, though nobody calls any more."""
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 5m}\nfor: 1m"
    slow = vitals(ms=(60_000.0,) * 20)
    assert transitions(walk(rule_engine(tmp_path, rule), {FIRST: slow}, FIRST + 60)) == [
        ("firing", "", FIRST + 6), ("resolved", "", FIRST + 30),
    ]  # fmt: skip


NOON = moment("2025-06-01T12:00")


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_litellm_3738_and_3113_over_budget_each_request_does_not_alert(tmp_path, size):
    """One alert for each step of each period, however many requests come after it, in whatever batches."""
    rule = "alert: Team\nbudget: {limit: 10, per: day, by: [team], thresholds: [80%, 100%]}"
    calls = [call(NOON + at // 4, 0.1, at, team="search") for at in range(300)]
    found = replayed(stages(tmp_path, rule), calls, size, NOON + DAY)
    assert [(each.status, each.level) for each in found if each.at > calls[200]["ts"] * 1_000] == [
        ("resolved", "100%"),
    ]  # fmt: skip
    assert [each.level for each in found if each.status == "firing"][-1] == "100%"
    assert len(found) <= 3


@pytest.mark.parametrize("cuts", [(), (0,), (-1, 0, 1), (-HOUR, HOUR)])
def test_litellm_8364_and_16057_a_budget_begins_anew_once_and_by_itself(tmp_path, cuts):
    """At each midnight of its own zone, also when the worker restarts right then, or nothing is called."""
    rule = rule_engine(
        tmp_path, "alert: A\nbudget: {limit: 10, per: day, timezone: America/New_York, thresholds: [100%]}"
    )
    midnight = [moment(f"2025-11-0{day}T00:00", "America/New_York") for day in range(1, 6)]
    spends = {midnight[0] + HOUR: 12, midnight[1] - 1: 1, midnight[1] + HOUR: 9, midnight[3]: 10}
    panes = {pane: vitals(cost=cost) for pane, cost in spends.items()}
    heard = rule_outputs(
        rule, panes, midnight[4] + HOUR, cuts=[each + cut for each in midnight for cut in cuts], packed=True
    )
    found = spoken(heard)
    assert [(each.status, each.value, each.at // PANE) for each in found] == [
        ("firing", 12, midnight[0] + HOUR + 1),
        ("resolved", 13, midnight[1]),
        ("firing", 10, midnight[3] + 1),
        ("resolved", 10, midnight[4]),
    ]


def test_mlflow_26054_a_crossing_seen_in_late_data_alerts(tmp_path):
    """A call of noon that arrives two hours late is counted when it comes, once, and says so then."""
    rule = "alert: A\nbudget: {limit: 10, per: day, thresholds: [100%]}"
    late = call(NOON + 5, 3, "late")
    calls = [call(NOON, 8, 1), call(NOON + 2 * HOUR, 0, 2), late, late, call(NOON + 3 * HOUR, 0, 3)]
    fired, over = replayed(stages(tmp_path, rule), calls, 1, NOON + DAY)
    assert (fired.status, fired.value) == ("firing", 11)
    assert fired.at >= (NOON + 2 * HOUR) * PANE, "it could not be known before"
    assert (over.status, over.value) == ("resolved", 11)


def test_a_call_that_comes_twice_is_spent_once(tmp_path):
    rule = "alert: A\nbudget: {limit: 10, per: day, thresholds: [50%, 100%]}"
    calls = [call(NOON + at, 1, at) for at in range(6)]
    again = [each for each in calls for _ in range(3)]
    found = replayed(stages(tmp_path, rule), again, until=NOON + DAY)
    assert [(each.level, each.value) for each in found] == [("50%", 5), ("50%", 6)]


def test_langfuse_714_cost_per_user_over_a_rolling_window(tmp_path):
    rule = "alert: User\nbudget: {limit: 10, rolling: 24h, by: [user], thresholds: [100%]}"
    spends = [
        (0, "ann", 6),
        (1, "bob", 9),
        (20 * HOUR, "ann", 5),
        (23 * HOUR, "bob", 0.9),
        (25 * HOUR, "bob", 9),
    ]
    calls = [call(NOON + at, cost, user, user=user) for at, user, cost in spends]
    found = replayed(stages(tmp_path, rule), calls, until=NOON + 4 * DAY)
    # Bob's nine dollars of noon have left his 24 hours when he spends nine more.
    assert brief(found) == [("firing", "", "100%"), ("resolved", "", "100%")]
    assert {(each.labels["user"], each.window) for each in found} == {("ann", "1d")}
    assert found[0].value == 11


def desk(slack, **settings):
    """A desk in front of this Slack, and the topics around it."""
    return World(slack, slack_channel=slack.channels["#alerts"], **settings)


async def test_litellm_7389_five_replicas_say_it_once():
    """They may all write the change; whoever tells is one, for the topic has one partition."""
    async with FakeSlack() as slack, desk(slack) as world:
        for _ in range(5):
            await world.say(alert(level="80%"))
        await world.say(*[alert(level="100%", at=NOW + 1)] * 5)
    (message,) = slack.messages
    assert (len(message.edits), len(message.thread)) == (1, 1)


async def test_litellm_27398_what_is_told_of_one_is_not_taken_for_told_of_another():
    """A team's alert, its user's and its key's are three, however alike they are."""
    async with FakeSlack() as slack, desk(slack) as world:
        alike = [{"team": "search"}, {"team": "search", "user": "ann"}, {"team": "search", "key": "ann"}]
        for labels in alike:
            await world.say(alert(labels=labels))
    assert len(slack.messages) == 3


async def test_a_digest_loses_no_alert_to_the_first_ones_text():
    async with FakeSlack() as slack, desk(slack) as world:
        teams = [f"team-{number}" for number in range(12)]
        await world.say(*map(alert, teams))
        over = [alert(team, "resolved", at=NOW + MINUTE) for team in teams[:11]]
        world.now += 10 * MINUTE
        await world.say(*over)
    (message,) = slack.messages
    assert [team for team in teams if team not in message.shown] == []
    assert "1 of 12 alerts" in message.text
    assert "1 of 12 still fire" in message.thread[0]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 502}, {"status": 503}, {"drop": True}])
async def test_alertmanager_2222_and_4108_a_retry_after_a_5xx_posts_nothing_twice(fault):
    """Slack had taken it, and its answer said or was the opposite."""
    async with FakeSlack() as slack, desk(slack) as world:
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        await world.say(alert())
        await world.wait(2 * MINUTE)
    assert len(slack.messages) == 1


async def test_a_silence_can_be_made_in_slack_and_holds_only_what_it_is_about():
    async with FakeSlack() as slack, desk(slack, slack_app_token=slack.app_token) as world:
        await slack.listened()
        await world.say(alert("search"), alert("ads"))
        await slack.press(slack.messages[0], SILENCE, user="ann", choice="1h")
        await world.tick(2)
        quiet = "search" if "search" in slack.messages[0].text else "ads"
        for team in ("search", "ads"):
            await world.say(alert(team, level="100%", at=world.now + 1))
    (silence,) = world.acts()
    assert (silence.by, silence.covers(alert(quiet).marks, world.now)) == ("ann", True)
    assert "ilenced by ann" in slack.messages[0].shown
    assert [len(message.thread) for message in slack.messages] == [0, 1]

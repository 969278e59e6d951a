"""A raise of a budget is approved in Slack, by those who may, and by nobody else."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from desks import World
from desks import alert as incident
from llmvitals.notify.slack.approval import APPROVE, LONGEST, button, modal, parsed, pressed, submitted
from llmvitals.notify.slack.block_limits import view_problems
from llmvitals.record.notification import MessageState, Muted
from llmvitals.record.user_action import Silence, decode, encode
from llmvitals.record.verdict import Gate, Verdict
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack
from llmvitals.testing.sockets import user_id, view_submission
from slack_samples import BLOCKED, BUDGET, BURN, CARDS, HOUR, LATENCY, MINUTE, NOON
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECOND = 1_000_000
GROUP = "S0123456789"
SCOPES = ("chat:write", "channels:history", "usergroups:read")
CARD = MessageState.alone(BLOCKED)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(scopes=SCOPES) as fake:
        fake.usergroups[GROUP] = [user_id("ann")]
        yield fake


async def blocked(slack: FakeSlack, *approvers: str) -> World:
    """A world with a message about a budget that blocks calls."""
    world = World(slack, slack_app_token=slack.app_token, slack_approvers=approvers)
    await world.start()
    await slack.listened()
    gate = Gate({"team": "search"})
    await world.say(
        incident(value=104.0, level="100%", verdict="block", gate=gate, ends=world.now + 9 * HOUR)
    )
    return world


def entered(amount: str, until: int) -> dict[str, Any]:
    return {"amount": {"value": amount}, "until": {"selected_date_time": until // SECOND}}


async def opened(slack: FakeSlack, number: int = 1) -> dict[str, Any]:
    async with asyncio.timeout(deadline(5)):
        while len(slack.views) < number:
            await slack.asked("views.open", [m for m, _ in slack.requests].count("views.open") + 1)
    return slack.views[-1]


async def test_a_member_of_the_group_raises_a_limit_and_calls_go_through(slack: FakeSlack) -> None:
    """The whole way: button, modal, override on the topic, verdict, and what the message says."""
    world = await blocked(slack, GROUP)
    (message,) = slack.messages
    await slack.press(message, APPROVE, user="ann")
    view = await opened(slack)
    assert "TeamBudget · search · limit $100" in json.dumps(view, ensure_ascii=False)
    until = world.now + 5 * HOUR
    assert await slack.submit(view, entered("700", until), user="ann") is None
    await world.tick(3)
    (silence,) = world.acts()
    assert isinstance(silence, Silence)
    assert (silence.kind, silence.by, silence.ends) == ("override", "ann", until)
    assert silence.comment == "limit raised to $700 by ann"
    assert silence.covers(incident().marks, world.now)
    assert not silence.covers(incident("chat").marks, world.now)
    verdict = Verdict.decode(world.verdicts[-1].value or b"")
    assert (verdict.verdict, verdict.override) == ("allow", "ann")
    assert "limit raised to $700 by ann" in verdict.reason
    assert "limit raised to $700 by ann" in message.shown
    assert APPROVE not in message.shown
    await world.desk.stop()


async def test_somebody_else_can_neither_open_nor_submit_it(slack: FakeSlack) -> None:
    world = await blocked(slack, GROUP, user_id("zoe"))
    (message,) = slack.messages
    await slack.press(message, APPROVE, user="ben")
    view = await opened(slack)
    assert "slack_approvers" in json.dumps(view)
    assert "submit" not in view
    await slack.press(message, APPROVE, user="ann")
    real = await opened(slack, 2)
    answer = await slack.submit(real, entered("700", world.now + HOUR), user="ben")
    assert answer == {
        "response_action": "errors",
        "errors": {"amount": "Only those whom the setting slack_approvers names may approve a raise."},
    }
    slack.usergroups[GROUP] = []  # whoever has left the group may approve no more
    assert await slack.submit(real, entered("700", world.now + HOUR), user="ann") is not None
    await world.tick(2)
    assert world.acts() == []
    assert await slack.submit(real, entered("700", world.now + HOUR), user="zoe") is None
    await world.tick(2)
    assert [act.by for act in world.acts()] == ["zoe"]
    await world.desk.stop()


async def test_without_the_scope_nobody_of_a_group_may_and_it_is_said_what_to_do() -> None:
    async with FakeSlack() as slack:
        world = await blocked(slack, GROUP)
        await slack.press(slack.messages[0], APPROVE, user="ann")
        assert "usergroups:read" in json.dumps(await opened(slack))
        await world.desk.stop()


async def test_without_the_setting_there_is_no_button(slack: FakeSlack) -> None:
    world = await blocked(slack)
    assert APPROVE not in slack.messages[0].shown
    await world.desk.stop()


async def test_what_is_entered_wrongly_is_said_in_the_modal(slack: FakeSlack) -> None:
    world = await blocked(slack, user_id("ann"))
    await slack.press(slack.messages[0], APPROVE, user="ann")
    view = await opened(slack)
    for amount, until, block in (
        ("90", world.now + HOUR, "amount"),
        ("lots", world.now + HOUR, "amount"),
        ("700", world.now - HOUR, "until"),
        ("700", world.now + LONGEST + HOUR, "until"),
    ):
        answer = await slack.submit(view, entered(amount, until), user="ann")
        assert answer is not None
        assert list(answer["errors"]) == [block]
    await world.tick(2)
    assert world.acts() == []
    await world.desk.stop()


def test_only_a_message_about_one_steered_budget_has_the_button() -> None:
    assert (
        len(button(CARD))
        == len(button(MessageState.alone(BUDGET)))
        == len(button(CARDS["budget_group"]))
        == 1
    )
    for card in (
        MessageState.alone(BURN),  # it blocks and warns nobody
        MessageState.alone(LATENCY),
        MessageState.alone(structs.replace(BLOCKED, status="resolved")),
        replace(CARD, unheard=(Muted("silenced by Ann"),)),
        replace(CARD, digest=True),
        CARDS["budget_many"],
        MessageState.alone(structs.replace(BLOCKED, labels={f"l{n}": "x" * 250 for n in range(9)})),
    ):
        assert button(card) == []


@pytest.mark.parametrize("unit", ["usd", "tokens", "count"])
def test_slack_takes_the_modal(unit: Any) -> None:
    card = MessageState.alone(structs.replace(BLOCKED, unit=unit, rule="<!here>" * 30))
    view = modal(button(card)[0]["value"], NOON)
    assert view_problems(view) == []
    assert "<!here>" not in json.dumps(view["blocks"])
    assert view_problems(modal("junk", NOON)) == []


def test_a_submission_that_slack_tells_twice_is_one_record() -> None:
    view = {**modal(button(CARD)[0]["value"], NOON), "id": "V1"}
    payload = view_submission(view, entered("2500.5", NOON + HOUR), "ann")
    one, two = submitted(payload, NOON, "ann"), submitted(payload, NOON + MINUTE, "ann")
    assert isinstance(one, Silence)
    assert isinstance(two, Silence)
    assert one.key == two.key
    assert decode(encode(one)) == one
    assert one.comment == "limit raised to $2,500.50 by ann"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
views = st.fixed_dictionaries(
    {"callback_id": st.just("llmvitals_raise") | junk, "private_metadata": st.just(button(CARD)[0]["value"]) | junk},
    optional={
        "id": junk,
        "state": junk
        | st.fixed_dictionaries(
            {
                "values": junk
                | st.fixed_dictionaries(
                    {"amount": st.fixed_dictionaries({"amount": st.fixed_dictionaries({"value": junk | st.just("9e9")})}),
                     "until": st.fixed_dictionaries({"until": st.fixed_dictionaries({"selected_date_time": junk})})}
                )
            }
        ),
    },
)  # fmt: skip


@given(
    st.fixed_dictionaries({"view": views | junk, "actions": junk, "type": st.just("block_actions")}) | junk
)
def test_no_payload_does_harm(payload: Any) -> None:
    pressed(payload)
    found = submitted(payload, NOON, "ann")
    assert not isinstance(found, Silence) or decode(encode(found)) == found
    assert parsed(payload) is None


@pytest.mark.parametrize("one", ["@ann", "ann", "u0123456789", "C0123456789"])
def test_an_approver_that_is_no_id_is_refused(one: str) -> None:
    with pytest.raises(ValueError, match="no id of a user"):
        Settings(slack_approvers=(one,))

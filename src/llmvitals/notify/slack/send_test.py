"""A sample's whole life in the real Slack: posted, edited, answered in its thread, resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from llmvitals.errors import SinkError
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.protocol import Do
from llmvitals.notify.slack.buttons import opened
from llmvitals.rate_limit import RateLimits
from llmvitals.record.notification import MessageState, Notification, Place, Reply, changes
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.notify.slack.settings import SlackSettings
    from llmvitals.record.alert import Alert

NOTE: Final = "This is a test by llmvitals alerts send-test: nothing is wrong."


class Failed(Exception):
    """Slack did not take it; the text says why and what to do."""


async def trial(own: SlackSettings, alert: Alert, channel: str, say: Callable[[str], object]) -> None:
    """Send the alert, which fires, to a channel, and let it end; say: hears each step in words.

    Raises Failed where Slack does not take it, or not there.
    """
    limits = RateLimits()
    notifier = own.made(limits)
    delivery = Delivery(notifier, channel, limits, Unmetered())
    await delivery.open()
    try:
        await delivery.check()
        say("Slack answers and knows us.")
        place = await _life(delivery, alert, channel, say, threads=notifier.threads)
    except SinkError as error:
        raise Failed(str(error)) from None
    finally:
        await delivery.close()
    if place is None:
        raise Failed("; ".join(delivery.troubles()))
    await _buttons(own, say)


async def _life(
    delivery: Delivery, alert: Alert, channel: str, say: Callable[[str], object], *, threads: bool
) -> Place | None:
    """Its last place; None where it was refused."""
    first = MessageState.alone(structs.replace(alert, note=NOTE))
    end = alert.at + MINUTE
    over = structs.replace(first.chief, status="resolved", at=end, until=end)
    place: Place | None = None
    for before, state in ((None, first), (first, MessageState.alone(over))):
        replies = [Reply(state, changes(before, state))] if before else []
        notification = Notification(state=state, channel=channel, place=place, replies=replies)
        place = await delivery.deliver(notification)
        if place is None:
            return None
        if notification.plain:
            raise Failed("Slack took it as plain text only and refused its blocks: please report it")
        where = f"the message {place.ts} in {place.channel}" if place.ts else "the message"
        if before is None:
            say(f"Posted {where}.")
        elif threads:
            say(f"Edited {where} to resolved, and said so in its thread.")
        else:
            say("Posted it again as resolved: a webhook can't edit, reply or have buttons.")
    return place


async def _buttons(settings: SlackSettings, say: Callable[[str], object]) -> None:
    if settings.token is None:
        return
    if settings.app_token is None:
        say("It has no buttons: for those set LLMVITALS_SLACK_APP_TOKEN, see docs/slack.md.")
        return
    answer, cure = await opened(settings.app_token.get_secret_value(), settings.api_url)
    if answer.do is not Do.DONE:
        raise Failed(cure)
    say("Its buttons will be heard: Socket Mode answers.")

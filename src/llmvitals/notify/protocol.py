"""A way to people, and which one the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import structlog

from llmvitals.console import console as terminal
from llmvitals.notify.slack.bot import Bot
from llmvitals.notify.slack.webhook import Webhook
from llmvitals.notify.terminal import Terminal

if TYPE_CHECKING:
    from llmvitals.notify.slack.answer import Answer
    from llmvitals.record.message_state import MessageState, Place
    from llmvitals.settings import Settings

log: Final = structlog.get_logger(__name__)


class Backend(Protocol):
    """It asks once and gives the answer; it never raises and never retries.

    threads: whether a message can be edited and replied to. Where it can't, `post` is all that is called,
    again at each news.
    """

    threads: bool

    async def open(self) -> None:
        """Make the connection's things; called once, in the loop that is used."""

    async def check(self) -> Answer:
        """Ask something harmless: whether Slack is there and knows us."""

    async def post(self, channel: str, card: MessageState, *, plain: bool) -> Answer:
        """Post an incident's message; the answer holds its place."""

    async def edit(self, place: Place, card: MessageState, *, plain: bool) -> Answer:
        """Make the message say what is so now."""

    async def reply(self, place: Place, text: str) -> Answer:
        """Say something in the message's thread; text: as notify/changes writes it."""

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        """Look for an incident's message posted after `since` (s): `ok` without `ts` where there is none.

        A backend that can't look asks something harmless, so that `ok` says that Slack is back.
        """

    async def heard(self, place: Place, text: str) -> Answer:
        """Look for a reply in a message's thread, as `find` does for messages."""

    async def close(self) -> None:
        """Give everything back."""


def chosen(settings: Settings, timeout: float = 10.0) -> Backend:
    """The way to people that the settings ask for: bot token, webhook or the terminal.

    timeout: of one request, in seconds.
    """
    trace_url = settings.trace_url or ""
    if settings.slack_token is not None:
        token = settings.slack_token.get_secret_value()
        buttons = settings.slack_app_token is not None
        return Bot(token, settings.slack_api_url, timeout=timeout, trace_url=trace_url, buttons=buttons)
    if settings.slack_webhook is not None:
        log.warning(
            "a webhook can't edit, reply or have buttons: incidents are posted again at each news; "
            "set LLMVITALS_SLACK_TOKEN to a bot's token for one message per incident"
        )
        return Webhook(settings.slack_webhook.get_secret_value(), timeout=timeout, trace_url=trace_url)
    log.info("no Slack is set: alerts are printed")
    return Terminal(terminal())

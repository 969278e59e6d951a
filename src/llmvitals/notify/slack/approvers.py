"""Who may approve a raise of a budget, as Slack knows them, and the modal that asks for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import structlog

from llmvitals.notify.slack.approval import modal, pressed, refusal, submitted, user_id
from llmvitals.notify.slack.connection import asked, session, web_client
from llmvitals.notify.slack.interaction import name

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.web.async_client import AsyncWebClient

    from llmvitals.record.user_action import Silence

log: Final = structlog.get_logger(__name__)

PATIENCE: Final = 2.0
"""Slack wants an answer within 3 s."""
_NOBODY: Final = "Only those whom the setting slack_approvers names may approve a raise."
_CURES: Final = {
    "missing_scope": "give the app the scope usergroups:read and install it again",
    "no_such_subteam": "slack_approvers names a user group that there is not",
}


class Approvers:
    """ids: of users (U…) and of user groups (S…). token: the bot's. clock: µs since 1970.

    Members are asked for at each press, so whoever leaves a group may approve no more.
    """

    def __init__(self, token: str, url: str, ids: tuple[str, ...], clock: Callable[[], int]) -> None:
        self._token, self._url, self._ids, self._clock = token.strip(), url, ids, clock
        # What slack_sdk would log holds people's names.
        self._mute = logging.getLogger("llmvitals.slack_sdk.approvers")
        self._mute.disabled = True

    async def open(self, payload: Any) -> None:
        """Open the modal for whoever has pressed the button, if that is what the payload says."""
        found = pressed(payload)
        if found is None:
            return
        value, trigger, user = found
        async with session(PATIENCE) as http:
            web = web_client(self._token, self._url, http, self._mute)
            why = await self._refusal(web, user)
            view = refusal(why) if why else modal(value, self._clock())
            opened = await asked(web.views_open(trigger_id=trigger, view=view))
        if not isinstance(opened, dict):
            log.warning("the modal for a raise was not opened", reason=opened.advice)

    async def decide(self, payload: Any) -> Silence | dict[str, str] | None:
        """Return the override that a submitted modal asks for, or what is wrong, by block of the modal."""
        try:
            async with asyncio.timeout(PATIENCE), session(PATIENCE) as http:
                why = await self._refusal(
                    web_client(self._token, self._url, http, self._mute), user_id(payload)
                )
        except TimeoutError:
            why = "Slack did not say in time who may approve: try again."
        return {"amount": why} if why else submitted(payload, self._clock(), name(payload.get("user")))

    async def _refusal(self, web: AsyncWebClient, user: str) -> str:
        """Why this user may not approve; "" where they may."""
        if user and user in self._ids:
            return ""
        why = _NOBODY
        for group in (one for one in self._ids if one.startswith("S")):
            found = await asked(web.usergroups_users_list(usergroup=group))
            if not isinstance(found, dict):
                cure = _CURES.get(found.code, found.advice)
                log.warning("it is not known who may approve a raise", code=found.code, cure=cure)
                why = f"It is not known who may approve: {cure}."
            elif user and user in (found.get("users") or ()):
                return ""
        return why

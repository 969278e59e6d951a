"""Connections to Slack, what it can answer, and what to do about each answer: one table.

An error of aiohttp counts as an answer too: the request may have reached Slack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from llmvitals.notify.protocol import Answer, Do

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable

_TABLE: Final = {
    "ok": Do.DONE,
    **dict.fromkeys(
        ("unreachable", "ratelimited", "rate_limited", "service_unavailable", "request_timeout", "http_429"),
        Do.WAIT,
    ),
    **dict.fromkeys(
        ("timeout", "disconnected", "unreadable", "internal_error", "fatal_error", "rollup_error"), Do.ASK
    ),
    **dict.fromkeys(
        (
            "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found",
            "invalid_thread_ts", "cannot_reply_to_message",
        ),
        Do.REPOST,
    ),
    **dict.fromkeys(
        (
            "channel_not_found", "not_in_channel", "is_archived", "channel_is_archived", "restricted_action",
            "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
            "posting_to_general_channel_denied",
        ),
        Do.MOVE,
    ),
    **dict.fromkeys(
        (
            "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
            "missing_scope", "no_permission", "not_allowed_token_type", "org_login_required",
            "ekm_access_denied", "access_denied", "team_access_not_granted", "two_factor_setup_required",
            "invalid_token", "no_service", "no_service_id", "no_team", "team_disabled", "no_active_hooks",
            "action_prohibited", "http_401", "http_403", "http_404", "http_410",
        ),
        Do.FIX,
    ),
}  # fmt: skip

_CURES: Final = {
    "missing_scope": "give the app the scope chat:write and install it again",
    "channel_not_found": "name an existing channel, best by its id, and invite the app if it is private",
    "not_in_channel": "invite the app to the channel, or give it the scope chat:write.public",
    "is_archived": "unarchive the channel or name another",
    "channel_is_archived": "unarchive the channel or make a webhook for another",
    "no_service": "the webhook was removed: set LLMVITALS_SLACK_WEBHOOK to a new one",
    "invalid_token": "set LLMVITALS_SLACK_WEBHOOK to the whole URL that Slack shows",
    "http_404": "check LLMVITALS_SLACK_API_URL or LLMVITALS_SLACK_WEBHOOK",
}
_SENTENCES: Final = {
    Do.WAIT: "Slack does not take messages at present",
    Do.ASK: "Slack does not answer as it should",
    Do.FIX: "set LLMVITALS_SLACK_TOKEN to the bot token (xoxb-…) of an installed app",
    Do.MOVE: "allow the app to post there or name another channel",
}
_CODE: Final = re.compile(r"[^a-z0-9_]")
_LONGEST: Final = 300.0


def answer(code: str, *, after: float | None = None) -> Answer:
    """Return what a code of Slack's, or one of ours for a failed request, calls for.

    A code that is not in the table is a refusal of the content.
    """
    do = Do.ASK if code.startswith(("http_3", "http_5")) else _TABLE.get(code, Do.SIMPLIFY)
    cure = _CURES.get(code) or _SENTENCES.get(do)
    return Answer(do, code, f"{code}: {cure}" if cure else code, after)


def coded(code: object, *, after: str | None = None) -> Answer:
    """Return the answer for a code and a Retry-After that come from outside; both are bounded (300 s)."""
    try:
        seconds = None if after is None else min(max(float(after), 0.0), _LONGEST)
    except ValueError:
        seconds = None
    return answer(_CODE.sub("", str(code).lower())[:60] or "unreadable", after=seconds)


def session(timeout: float) -> aiohttp.ClientSession:
    """Connections that stay open; `timeout` is in seconds, for a whole request."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout / 2), trust_env=True
    )


def web_client(
    token: str, url: str, http: aiohttp.ClientSession, logger: logging.Logger | None = None
) -> AsyncWebClient:
    """Slack's client over this session; it tries nothing again by itself."""
    client = AsyncWebClient(token, url, session=http, retry_handlers=[], logger=logger)
    # slack_sdk takes HTTPS_PROXY without NO_PROXY; the session knows both.
    client.proxy = None
    return client


def failed(error: Exception) -> Answer:
    """The answer that an exception stands for; its text is dropped, since it may hold the URL."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return answer("unreachable")
    if isinstance(error, TimeoutError):
        return answer("timeout")
    if isinstance(error, aiohttp.InvalidURL):
        return answer("http_404")
    if isinstance(error, aiohttp.ClientError | OSError):
        return answer("disconnected")
    return answer("unreadable")


async def asked(request: Awaitable[AsyncSlackResponse]) -> dict[str, Any] | Answer:
    """Return Slack's answer as a dict, or what its failure stands for."""
    try:
        response = await request
    except SlackApiError as error:
        response = error.response
    except Exception as error:  # noqa: BLE001 - whatever it is, the alert is kept and tried again
        return failed(error)
    if not isinstance(response, AsyncSlackResponse):
        return answer("unreadable")
    data = response.data if isinstance(response.data, dict) else {}
    if data.get("ok") is True:
        return data
    status = "unreadable" if response.status_code == 200 else f"http_{response.status_code}"
    return coded(data.get("error") or status, after=response.headers.get("Retry-After"))

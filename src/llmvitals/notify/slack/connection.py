"""Connections to Slack, and what aiohttp's errors mean for a request that may have reached it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from llmvitals.notify.slack.answer import answer, coded

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable

    from llmvitals.notify.protocol import Answer


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

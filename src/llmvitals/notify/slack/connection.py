"""What aiohttp's errors mean for a request that may or may not have reached Slack."""

from __future__ import annotations

import aiohttp

from llmvitals.notify.slack.answer import Answer


def session(timeout: float) -> aiohttp.ClientSession:
    """Connections that stay open; `timeout` is in seconds, for a whole request."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout / 2), trust_env=True
    )


def failed(error: Exception) -> Answer:
    """The answer that an exception stands for; its text is dropped, since it may hold the URL."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Answer("unreachable")
    if isinstance(error, TimeoutError):
        return Answer("timeout")
    if isinstance(error, aiohttp.InvalidURL):
        return Answer("http_404")
    if isinstance(error, aiohttp.ClientError | OSError):
        return Answer("disconnected")
    return Answer("unreadable")

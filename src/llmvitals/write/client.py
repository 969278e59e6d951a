"""The transport to InfluxDB, and what its answers mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from llmvitals.errors import SinkError
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.settings import Settings

BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request raises when there is no answer."""
SLOWLY: Final = 30.0
"""Seconds between attempts while the configuration is wrong."""

_CURES: Final = {
    401: "the token is refused: check LLMVITALS_INFLUX_TOKEN (InfluxDB 1.8: user:password)",
    403: "the token may not do this: let it read and write the bucket (InfluxDB 1.8: flux-enabled = true)",
    404: "there is no such bucket or organization: create it, or check LLMVITALS_INFLUX_BUCKET "
    "(InfluxDB 1.8: database/retention policy) and LLMVITALS_INFLUX_ORG",
}
_UNSURE: Final = frozenset({408, 425, 429})


def connect(settings: Settings) -> InfluxDBClientAsync:
    """The client of these settings; to be closed by the caller, inside the loop that it was made in."""
    token = settings.influx_token
    return InfluxDBClientAsync(
        settings.influx_url,
        token=token.get_secret_value() if token else "",
        org=settings.influx_org,
        timeout=duration(settings.influx_timeout) // 1_000,
        # A redirected POST would become a GET, whose success means nothing.
        allow_redirects=False,
    )


def failure(error: Exception, settings: Settings) -> SinkError:
    """What an answer or a broken connection means, as an error that says whether to retry and what to fix."""
    where = f"InfluxDB at {address(settings)}"
    if not isinstance(error, ApiException):
        kind = "did not answer in time" if isinstance(error, TimeoutError) else "can't be reached"
        return SinkError(f"{where} {kind} ({type(error).__name__})", retry=True)
    status: int = error.status
    if cure := _CURES.get(status):
        return SinkError(f"{where}: {status}, {cure}", retry=True, retry_after=SLOWLY)
    if status >= 500 or status in _UNSURE:
        after = _seconds(error.headers or {})
        return SinkError(f"{where} is not ready ({status})", retry=True, retry_after=after)
    why = f"{where} answered {status}: check that LLMVITALS_INFLUX_URL is InfluxDB's own address"
    return SinkError(why, retry=True, retry_after=SLOWLY)


def said(error: ApiException) -> str:
    """InfluxDB's own words on one line, without what it quotes of ours."""
    words = error.message or error.reason or ""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return re.sub(r"'.*'", "'…'", " ".join(text.split()))


def address(settings: Settings) -> str:
    """Where InfluxDB is, without a password that somebody put into the URL."""
    url = urlsplit(settings.influx_url or "")
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds; None when there is none (or a date, which InfluxDB does not send)."""
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None

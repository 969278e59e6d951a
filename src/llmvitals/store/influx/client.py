"""The transport to InfluxDB, and what its answers mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from llmvitals.errors import ConfigError, SinkError
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.settings import Settings

BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request raises when there is no answer."""
LINE_FAULTS: Final = frozenset({400, 413, 422})
"""Answers that are about the lines themselves."""
SLOWLY: Final = 30.0
"""Seconds between attempts while the configuration is wrong."""

_CURES: Final = {
    401: "the token is refused: check LLMVITALS_INFLUX_TOKEN (InfluxDB 1.8: user:password)",
    403: "the token may not do this: let it read and write the bucket (InfluxDB 1.8: flux-enabled = true)",
    404: "there is no such bucket or organization: create it, or check LLMVITALS_INFLUX_BUCKET "
    "(InfluxDB 1.8: database/retention policy) and LLMVITALS_INFLUX_ORG",
}
_UNSURE: Final = frozenset({408, 425, 429})


def address(settings: Settings) -> str:
    """InfluxDB's URL. Raises ConfigError when there is none."""
    url = settings.influx_url or ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("influx_url is no address: say where InfluxDB is, such as http://localhost:8086")
    return url


def connect(settings: Settings) -> InfluxDBClientAsync:
    """The client of these settings; to be closed by the caller, inside the loop that it was made in.

    Raises ConfigError when there is no address.
    """
    token = settings.influx_token
    return InfluxDBClientAsync(
        address(settings),
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
        return SinkError(
            f"{where} is not ready ({status}: {said(error)[:256]})", retry=True, retry_after=after
        )
    why = (
        f"{where} answered {status} ({said(error)[:256]}): check that LLMVITALS_INFLUX_URL is its own address"
    )
    return SinkError(why, retry=True, retry_after=SLOWLY)


def code(error: Exception) -> str:
    """The same in one short word, for counting."""
    if isinstance(error, ApiException):
        return str(error.status)
    return "timeout" if isinstance(error, TimeoutError) else "unreachable"


def said(error: ApiException) -> str:
    """InfluxDB's own words on one line, without what it quotes of ours."""
    words = error.message or error.reason or ""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return re.sub(r"'.*'", "'…'", " ".join(text.split()))


def _seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds; None when there is none (or a date, which InfluxDB does not send)."""
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None

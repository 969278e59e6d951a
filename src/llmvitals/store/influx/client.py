"""The settings of InfluxDB, its HTTP client, and what its answers mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, SecretStr

from llmvitals.errors import ConfigError, SinkError
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
    from influxdb_client.rest import ApiException

    from llmvitals.settings import Settings

BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request raises when there is no answer."""
LINE_FAULTS: Final = frozenset({400, 413, 422})
"""Answers that are about the lines themselves."""
SLOW_RETRY: Final = 30.0
"""Seconds between attempts while the configuration is wrong."""

_CURES: Final = {
    401: "the token is refused: check LLMVITALS_INFLUX_TOKEN (InfluxDB 1.8: user:password)",
    403: "the token may not do this: let it read and write the bucket (InfluxDB 1.8: flux-enabled = true)",
    404: "there is no such bucket or organization: create it, or check LLMVITALS_INFLUX_BUCKET "
    "(InfluxDB 1.8: database/retention policy) and LLMVITALS_INFLUX_ORG",
}
_TEMPORARY: Final = frozenset({408, 425, 429})


class InfluxSettings(BaseModel):
    """Where InfluxDB is and how to log in. timeout: of a request, in ms."""

    model_config = ConfigDict(frozen=True)

    url: str
    token: SecretStr
    org: str
    bucket: str
    timeout: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The part of the settings that begins with `influx_`. Raises ConfigError when the URL is none."""
        url = settings.influx_url or ""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "influx_url is no address: say where InfluxDB is, such as http://localhost:8086"
            )
        return cls(
            url=url,
            token=settings.influx_token or SecretStr(""),
            org=settings.influx_org,
            bucket=settings.influx_bucket,
            timeout=duration(settings.influx_timeout) // 1_000,
        )


def connect(settings: InfluxSettings) -> InfluxDBClientAsync:
    """A client, which the caller closes inside the loop that it was made in."""
    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync  # noqa: PLC0415 - see refused

    return InfluxDBClientAsync(
        settings.url,
        token=settings.token.get_secret_value(),
        org=settings.org,
        timeout=settings.timeout,
        # A redirected POST would become a GET, whose success means nothing.
        allow_redirects=False,
    )


def refused() -> type[ApiException]:
    """What a request raises when InfluxDB answers that it did not do it.

    The client is imported where it is used: it has 400 modules, and most processes need none of them.
    """
    from influxdb_client.rest import ApiException  # noqa: PLC0415 - as it says

    return ApiException


def failure(error: Exception, settings: InfluxSettings) -> SinkError:
    """The error for an answer or a broken connection: whether to retry, and what to fix."""
    where = f"InfluxDB at {settings.url}"
    if not isinstance(error, refused()):
        kind = "did not answer in time" if isinstance(error, TimeoutError) else "can't be reached"
        return SinkError(f"{where} {kind} ({type(error).__name__})", retry=True)
    status: int = error.status
    if cure := _CURES.get(status):
        return SinkError(f"{where}: {status}, {cure}", retry=True, retry_after=SLOW_RETRY)
    if status >= 500 or status in _TEMPORARY:
        after = _seconds(error.headers or {})
        return SinkError(
            f"{where} is not ready ({status}: {message(error)[:256]})", retry=True, retry_after=after
        )
    answer = f"{status} ({message(error)[:256]})"
    why = f"{where} answered {answer}: check that LLMVITALS_INFLUX_URL is its own address"
    return SinkError(why, retry=True, retry_after=SLOW_RETRY)


def code(error: Exception) -> str:
    """The label of an error in the metrics: the status, `timeout` or `unreachable`."""
    if isinstance(error, refused()):
        return str(error.status)
    return "timeout" if isinstance(error, TimeoutError) else "unreachable"


def message(error: ApiException) -> str:
    """InfluxDB's message on one line, without the lines that it quotes."""
    body = error.message or error.reason or ""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return re.sub(r"'.*'", "'…'", " ".join(text.split()))


def _seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds; None when there is none (or a date, which InfluxDB does not send)."""
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None

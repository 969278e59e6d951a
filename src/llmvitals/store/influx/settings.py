"""The settings of InfluxDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from llmvitals.errors import ConfigError
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.settings import Settings


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

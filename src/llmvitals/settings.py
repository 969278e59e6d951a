"""Settings: environment variables `LLMVITALS_*`, over `llmvitals.toml`, over the defaults here."""

from __future__ import annotations

import difflib
import os
from contextlib import contextmanager
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from llmvitals import environment
from llmvitals.connection import Connection
from llmvitals.environment import PREFIX
from llmvitals.errors import ConfigError
from llmvitals.scorers import Duration, Scorers, ScorerSetting
from llmvitals.window import DAY, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails


def _open(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("holds a password, which would be shown: put it into the token's setting")
    return url


def _template(url: str) -> str:
    """`https://…/{trace_id}`: one place to fill in, on a host that is fixed."""
    head, place, tail = _open(url).partition("{trace_id}")
    fixed = urlsplit(head)
    if not place or set(head + tail) & set("{}<>|` \n"):
        raise ValueError("write a web address with {trace_id} once in it: https://traces.example/{trace_id}")
    if fixed.scheme not in {"http", "https"} or not fixed.netloc or not (fixed.path or fixed.query):
        raise ValueError("begin with https://, a host and /, so that a trace's id can't change the host")
    return url


def _app_token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value().strip().startswith("xapp-"):
        raise ValueError("is no app-level token: those begin with xapp- and are made under Basic Information")
    return token


class ViewSetting(BaseModel):
    """A view of one's own, beside the default ones: `by` splits, `where` filters by equality."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    by: tuple[str, ...] = ()
    where: dict[str, str | tuple[str, ...]] = {}
    contributors: bool = False


class Settings(BaseSettings, Connection):
    """All settings. An unknown key in the file is an error; secrets are never shown."""

    model_config = SettingsConfigDict(
        env_prefix="LLMVITALS_",
        toml_file="llmvitals.toml",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
    )

    instance: str | None = Field(None, description="Static membership: a name for this worker that stays.")
    session_timeout: Duration = "30s"

    inputs: tuple[str, ...] = Field((), description="Topics to read calls from; default PREFIX.calls.v1.")
    formats: dict[str, str] = Field(
        {}, description="Topic → format, where it shall not be recognised from the record."
    )
    max_record_bytes: int = Field(262_144, ge=1_024)
    dead_letter_bodies: bool = Field(False, description="Keep the refused record's bytes in the dead letter.")

    pane: Duration = Field("10s", description="Event time that is summed up in one piece.")
    disorder: Duration = Field("10s", description="How far behind the newest call a call is not yet late.")
    future: Duration = Field("5m", description="A call further ahead of its Kafka time is a dead letter.")
    dedupe_horizon: Duration = Field(
        "1h",
        description="A copy of a call (the same id) is dropped until so long after its pane closed; one that "
        "comes later counts again, as late.",
    )
    dedupe_ids: int = Field(
        10_000_000,
        ge=0,
        description="So many ids of closed panes are remembered of each source partition; with more, the "
        "oldest are forgotten before the horizon.",
    )
    idle: Duration = Field("15s", description="After this silence a partition stops holding up the others.")
    flush: Duration = Field("500ms", description="How often open panes of budgets are sent on.")
    checkpoint: Duration = "1s"
    stall: Duration = Field("60s", description="Lag without progress for so long ends the worker.")

    views: tuple[ViewSetting, ...] = ()
    default_views: bool = True
    max_series: int = Field(
        20_000, ge=1, description="Series of a view in a day (and in a pane of a partition); then `_other`."
    )
    max_watched: int = Field(
        200_000, ge=1, description="The same of sessions and users in views that only rules read."
    )
    contributors: int = Field(10, ge=0, le=100, description="How many of the heaviest are kept of a kind.")
    embedding_scale: dict[str, Annotated[float, Field(ge=0.01, le=100)]] = Field(
        {}, description="Model of embeddings → the distance that tells near from far; 1 fits most."
    )
    prices: Path | None = Field(None, description="A file of your own prices, over genai-prices.")
    alerts: Path = Field(Path("alerts"), description="The folder of rules.")
    text: Literal["off", "score"] = Field("off", description="Whether texts in calls are read by scorers.")
    scorers: Annotated[Scorers, NoDecode] = Field(
        (), description="Scorers of texts, such as profanity,wordllama; needs text=score."
    )
    max_alert_age: Duration = Field("15m", description="An older alert waits until llmvitals has caught up.")

    sqlite: Path | None = Field(
        None, description="File of the embedded store; used where there is no InfluxDB."
    )
    influx_url: Annotated[str, AfterValidator(_open)] | None = None
    influx_token: SecretStr | None = None
    influx_org: str = "-"
    influx_bucket: str = "llmvitals"
    influx_timeout: Duration = "10s"

    slack_token: SecretStr | None = Field(None, description="A bot's token (xoxb-…), scope chat:write.")
    slack_app_token: Annotated[SecretStr, AfterValidator(_app_token)] | None = Field(
        None, description="An app-level token (xapp-…), scope connections:write: for the buttons."
    )
    slack_channel: str | None = Field(None, description="Where alerts go; a bot's token needs it.")
    slack_webhook: SecretStr | None = Field(None, description="The degraded mode: no edits, no threads.")
    slack_api_url: Annotated[str, AfterValidator(_open)] = "https://slack.com/api/"
    trace_url: Annotated[str, AfterValidator(_template)] | None = Field(
        None, description="Where a call's trace is seen, such as https://traces.example/{trace_id}."
    )

    health_host: str = "127.0.0.1"
    health_port: int = Field(
        9464, ge=0, le=65_535, description="Of combine; then merge, sink, score; 0: any."
    )
    log_format: Literal["console", "json"] = "console"

    @property
    def sources(self) -> tuple[str, ...]:
        """The topics that calls are counted from: where there are scorers, what they say too."""
        return (*self.calls, self.topic("scores")) if self.scorers else self.calls

    @property
    def calls(self) -> tuple[str, ...]:
        """The topics that applications publish calls to."""
        return self.inputs or (self.topic("calls"),)

    @model_validator(mode="after")
    def _reachable(self) -> Settings:
        if self.slack_token is not None and not (self.slack_channel or "").strip():
            raise ValueError(
                "slack_token needs slack_channel, where alerts go whose rule names none, such as #alerts"
            )
        if self.slack_app_token is not None and self.slack_token is None:
            raise ValueError("slack_app_token needs slack_token, the bot's token (xoxb-…) of the same app")
        return self

    @model_validator(mode="after")
    def _panes(self) -> Settings:
        minute, pane = 60_000_000, duration(self.pane)
        if not 1_000_000 <= pane <= minute or minute % pane:
            raise ValueError(f"pane {self.pane} has to divide a minute into whole seconds, such as 10s")
        if self.scorers and self.text == "off":
            raise ValueError("scorers read texts of calls: allow it with text=score, or leave scorers out")
        if duration(self.dedupe_horizon) > DAY:
            raise ValueError("dedupe_horizon is at most 24h: ids are kept in memory")
        return self

    @classmethod
    def settings_customise_sources(  # pydantic's signature
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):
            found = environment.settings(settings_cls.model_fields)
            env_settings.env_vars = {f"{PREFIX}{name}".lower(): value for name, value in found.items()}
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _file())


def load(**flags: Any) -> Settings:
    """The settings of this process; flags (those not None) go over everything else.

    Raises ConfigError that names each wrong key.
    """
    if _missing():
        raise ConfigError(f"{_file()}, which {PREFIX}CONFIG names, is not there")
    with _told():
        return Settings(**{key: value for key, value in flags.items() if value is not None})


def connection(**flags: Any) -> Connection:
    """How a publisher reaches Kafka: by the environment, the file that LLMVITALS_CONFIG names, and the flags.

    It lives in somebody else's application: no other file is read, and what it has no use for may be wrong.
    Raises ConfigError that names each wrong key.
    """
    with _told():
        given_file = f"{PREFIX}CONFIG" in os.environ and not _missing()
        file = TomlConfigSettingsSource(Settings, _file())() if given_file else {}
        given = {key: value for key, value in flags.items() if value is not None}
        values = {**file, **environment.settings(Connection.model_fields), **given}
        found = Connection(**Connection.needed(values))
    found.trust()
    return found


def unknown() -> list[str]:
    """A sentence for each variable of the environment that looks like a setting, and has no effect."""
    gone = [f"{_file()}, which {PREFIX}CONFIG names, is not there"] if _missing() else []
    return [*gone, *environment.unknown(Settings.model_fields)]


def check_name(name: str) -> None:
    """Raises ConfigError when there is no such setting."""
    if name.lower() not in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        near = environment.near(variable, Settings.model_fields)
        raise ConfigError(f"There is no such setting (by --set): {variable}{near}")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except TOMLDecodeError as error:
        raise ConfigError(f"{_file()} is no TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"The settings, here or in {_file()}, are nested too deeply to be read") from error
    except SettingsError as error:
        raise ConfigError(f"The settings are wrong: {error}; lists and tables are written as JSON") from error
    except ValidationError as error:
        raise ConfigError("The settings are wrong:\n  " + "\n  ".join(map(_fault, error.errors()))) from error


def _file() -> str:
    return os.environ.get(f"{PREFIX}CONFIG", "llmvitals.toml")


def _missing() -> bool:
    return f"{PREFIX}CONFIG" in os.environ and not Path(_file()).is_file()


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _fault(error: ErrorDetails) -> str:
    """Where and what; never the value, which may be a secret."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        if len(error["loc"]) > 1:
            table = ScorerSetting if error["loc"][0] == "scorers" else ViewSetting
            return f"{place}: there is no such setting{_near(str(error['loc'][-1]), table.model_fields)}"
        return f"{place} in {_file()}: there is no such setting{_near(place, Settings.model_fields)}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said

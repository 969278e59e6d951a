"""All settings, with their defaults and what they mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from llmvitals import environment
from llmvitals.connection import Connection
from llmvitals.environment import PREFIX
from llmvitals.scorers import Duration, Scorers
from llmvitals.settings.gateway import GatewaySettings
from llmvitals.window import DAY, duration


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


def _dashboard(url: str) -> str:
    """`https://…?var-team={team}&from={from}`: places to fill in, on a host that is fixed."""
    fixed = urlsplit(_open(url).partition("{")[0])
    if set(_PLACE.sub("", url)) & set("{}<>|` \n"):
        raise ValueError(
            "write {rule}, {from}, {to} and names of labels in braces, and no other braces or <>|`"
        )
    if fixed.scheme not in {"http", "https"} or not fixed.netloc or not (fixed.path or fixed.query):
        raise ValueError("begin with https://, a host and /, so that a label can't change the host")
    return url


def _app_token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value().strip().startswith("xapp-"):
        raise ValueError("is no app-level token: those begin with xapp- and are made under Basic Information")
    return token


def _approver(one: str) -> str:
    if not re.fullmatch(r"[UWS][A-Z0-9]{7,20}", one):
        raise ValueError(f"{one!r} is no id of a user (U…, see their profile) or of a user group (S…)")
    return one


_PLACE: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]*\}")


class ViewSetting(BaseModel):
    """A view of your own, beside the default ones: `by` splits, `where` filters by equality."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    by: tuple[str, ...] = ()
    where: dict[str, str | tuple[str, ...]] = {}
    contributors: bool = False


class Settings(BaseSettings, GatewaySettings, Connection):
    """All settings. An unknown key in the file is an error; secrets are never shown."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        toml_file="llmvitals.toml",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
    )

    instance: str | None = Field(
        None,
        description="A name of this worker that stays the same over restarts (static membership): its "
        "successor gets the same partitions at once.",
    )
    session_timeout: Duration = Field(
        "30s", description="A worker that Kafka has not heard of for this long loses its partitions."
    )

    inputs: tuple[str, ...] = Field(
        (), description="The topics to read calls from; without it, PREFIX.calls.v1."
    )
    formats: dict[str, str] = Field(
        {}, description="Topic → format of its records, if it should not be recognised from the record."
    )
    otlp_attributes: dict[str, list[str]] = Field(
        {},
        description="Dimension (team, …, `tags.NAME`) → attributes of OpenTelemetry, of the resource or the "
        "span, that have its value; they take precedence over the default ones.",
    )
    max_record_bytes: int = Field(
        262_144, ge=1_024, description="The largest call in bytes; a larger one becomes a dead letter."
    )
    max_batch_bytes: int = Field(
        4_194_304,
        ge=1_024,
        description="The same for a record with several calls: an array, or an OTLP export.",
    )
    dead_letter_bodies: bool = Field(
        False, description="Whether the dead letter contains the bytes of the refused record, texts included."
    )
    prices: Path | None = Field(None, description="A file of your own prices, which take precedence.")
    listed_prices: Path | None = Field(None, description="The file of `llmvitals prices update`.")
    plans: dict[str, Annotated[float, Field(ge=0, le=100_000)]] = Field(
        {},
        description="What a user of a flat-rate plan pays a month, in dollars, by agent or app, such as "
        '{"claude_code": 200}: `llmvitals audit` puts it beside the list price.',
    )
    embedding_scale: dict[str, Annotated[float, Field(ge=0.01, le=100)]] = Field(
        {}, description="Embedding model → the distance of unlike vectors; 1 fits most models."
    )

    pane: Duration = Field(
        "10s", description="The length of a pane, the smallest event time for which sums are kept."
    )
    disorder: Duration = Field(
        "10s", description="How much older than its partition's newest call a call may be without being late."
    )
    future: Duration = Field(
        "5m", description="A call that is further ahead of its Kafka time than this becomes a dead letter."
    )
    dedupe_horizon: Duration = Field(
        "1h",
        description="A duplicate of a call (the same id) is dropped until this long after the call's pane "
        "closed; a later one counts again, as late. At most 24h.",
    )
    dedupe_ids: int = Field(
        10_000_000,
        ge=0,
        description="The most ids of closed panes that are kept for each source partition (a span has up to "
        "four); above it, the oldest are forgotten before the horizon.",
    )
    idle: Duration = Field(
        "15s", description="A partition without calls for this long no longer holds up the others."
    )
    flush: Duration = Field("500ms", description="How often combine sends open panes that rules read.")
    checkpoint: Duration = Field("1s", description="How often a stage writes its checkpoint.")
    stall: Duration = Field(
        "60s", description="A worker with records to read that makes no progress for this long ends."
    )

    views: tuple[ViewSetting, ...] = Field(
        (),
        description="Views of your own, beside the default ones: `name`, `by` (dimensions), "
        "`where` (dimension → value), `contributors` (whether top spenders are kept).",
    )
    default_views: bool = Field(True, description="Whether the default views are kept.")
    max_series: int = Field(
        20_000,
        ge=1,
        description="The most series of a view in a day (and in a pane of a partition); the others are "
        "counted in `_other`.",
    )
    max_watched: int = Field(
        200_000, ge=1, description="The same for views of sessions and users, which only rules read."
    )
    contributors: int = Field(
        10, ge=0, le=100, description="How many top spenders of each kind are kept in a pane."
    )

    alerts: Path = Field(Path("alerts"), description="The folder of rules.")
    max_alert_age: Duration = Field(
        "15m", description="An alert older than this waits until llmvitals has caught up with the log."
    )

    text: Literal["off", "score"] = Field(
        "off", description="`score` lets scorers read the texts in calls; `off` reads no text."
    )
    scorers: Annotated[Scorers, NoDecode] = Field(
        (), description="The scorers of texts, such as `profanity,wordllama`; they need text=score."
    )

    sqlite: Path | None = Field(None, description="The SQLite file that metrics are written to.")
    influx_url: Annotated[str, AfterValidator(_open)] | None = Field(
        None, description="The address of the InfluxDB that metrics are written to: http://localhost:8086."
    )
    influx_token: SecretStr | None = Field(
        None, description="A token that may read and write the bucket; InfluxDB 1.8: user:password."
    )
    influx_org: str = Field("-", description="The organization; InfluxDB 1.8 has none.")
    influx_bucket: str = Field(
        "llmvitals", description="The bucket; InfluxDB 1.8: database/retention policy."
    )
    influx_timeout: Duration = Field("10s", description="How long a request to InfluxDB may take.")

    slack_token: SecretStr | None = Field(
        None, description="The token of a bot (xoxb-…) with the scope chat:write."
    )
    slack_app_token: Annotated[SecretStr, AfterValidator(_app_token)] | None = Field(
        None,
        description="An app-level token (xapp-…) with the scope connections:write, for the buttons.",
    )
    slack_channel: str | None = Field(
        None, description="The channel for alerts whose rule and route name none; slack_token needs it."
    )
    slack_approvers: tuple[Annotated[str, AfterValidator(_approver)], ...] = Field(
        (),
        description="Who may approve a raise of a budget with a button: ids of users (U…) and of user groups "
        "(S…; they need the scope usergroups:read). If it is empty, there is no such button.",
    )
    slack_webhook: SecretStr | None = Field(
        None, description="An incoming webhook instead of a bot: no edits, no threads, no buttons."
    )
    slack_api_url: Annotated[str, AfterValidator(_open)] = Field(
        "https://slack.com/api/", description="The address of Slack's API."
    )
    trace_url: Annotated[str, AfterValidator(_template)] | None = Field(
        None, description="The web page of a call's trace, such as https://traces.example/{trace_id}."
    )
    dashboard_url: Annotated[str, AfterValidator(_dashboard)] | None = Field(
        None,
        description="The web page with an incident's metrics, such as "
        "https://grafana.example/d/llm?var-team={team}&from={from}&to={to}: {rule}, the names of labels, and "
        "from and to in ms since 1970.",
    )

    health_host: str = Field("127.0.0.1", description="The address of /metrics, /livez and /readyz.")
    health_port: int = Field(
        9464,
        ge=0,
        le=65_535,
        description="Their port in combine; merge, sink and score use the next ports. 0: any free port.",
    )
    log_format: Literal["console", "json"] = Field("console", description="How log lines are written.")

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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, environment.config_file())

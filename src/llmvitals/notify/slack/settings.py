"""The settings of Slack, and the notifier that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import structlog
from pydantic import BaseModel, ConfigDict, SecretStr

from llmvitals.notify.slack.approval import Approvers
from llmvitals.notify.slack.bot import Bot
from llmvitals.notify.slack.buttons import Buttons
from llmvitals.notify.slack.webhook import Webhook
from llmvitals.rate_limit import RateLimits

if TYPE_CHECKING:
    from llmvitals.notify.protocol import Notifier
    from llmvitals.settings import Settings

log: Final = structlog.get_logger(__name__)


class SlackSettings(BaseModel):
    """What Slack needs of the settings. token or webhook is set; a bot's token goes before a webhook."""

    model_config = ConfigDict(frozen=True)

    token: SecretStr | None
    app_token: SecretStr | None
    channel: str
    webhook: SecretStr | None
    api_url: str
    trace_url: str
    dashboard_url: str
    approvers: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return Slack's part of the settings; None where no Slack is set."""
        if settings.slack_token is None and settings.slack_webhook is None:
            return None
        return cls(
            token=settings.slack_token,
            app_token=settings.slack_app_token,
            channel=settings.slack_channel or "",
            webhook=settings.slack_webhook,
            api_url=settings.slack_api_url,
            trace_url=settings.trace_url or "",
            dashboard_url=settings.dashboard_url or "",
            approvers=settings.slack_approvers,
        )

    @classmethod
    def notifier(cls, settings: Settings, limits: RateLimits) -> tuple[Notifier, str] | None:
        """Return the notifier and its default channel; None where no Slack is set."""
        own = cls.of(settings)
        return None if own is None else (own.made(limits), own.channel)

    def made(self, limits: RateLimits | None = None) -> Notifier:
        """Return the bot, or the webhook where there is no bot's token."""
        limits = limits or RateLimits()
        if self.token is not None:
            return Bot(
                self.token.get_secret_value(),
                self.api_url,
                timeout=limits.timeout,
                trace_url=self.trace_url,
                dashboard_url=self.dashboard_url,
                buttons=self.buttons(limits),
            )
        log.warning(
            "a webhook can't edit, reply or have buttons: incidents are posted again at each news; "
            "set LLMVITALS_SLACK_TOKEN to a bot's token for one message per incident"
        )
        url = self.webhook.get_secret_value() if self.webhook is not None else ""
        return Webhook(
            url, timeout=limits.timeout, trace_url=self.trace_url, dashboard_url=self.dashboard_url
        )

    def buttons(self, limits: RateLimits | None = None) -> Buttons | None:
        """Return what hears the buttons; None without an app-level token."""
        if self.app_token is None:
            return None
        limits, approvers = limits or RateLimits(), None
        if self.approvers and self.token is not None:
            token = self.token.get_secret_value()
            approvers = Approvers(token, self.api_url, self.approvers, limits.clock)
        return Buttons(self.app_token.get_secret_value(), self.api_url, limits, approvers)

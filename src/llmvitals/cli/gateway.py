"""The command gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmvitals import settings as settings_
from llmvitals.runtime import logs

if TYPE_CHECKING:
    import typer


def gateway() -> None:
    """Take events by HTTP and send them to Kafka, until SIGTERM or Ctrl-C.

    It takes OTLP/HTTP (/v1/traces, /v1/logs), LiteLLM's payloads (/litellm), calls (/v1/calls), and the REST
    APIs of Langfuse, LangSmith, Opik and others at their own paths. 200 means that Kafka has the events.
    """
    from llmvitals.gateway.run import run  # noqa: PLC0415 - other commands don't need it

    settings = settings_.load()
    logs.configure(settings)
    asyncio.run(run(settings))


def add(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command()(gateway)

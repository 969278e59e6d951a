"""Where the log goes and how it looks: one line an event, on stderr, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from llmvitals.settings import Settings

QUIET: Final = ("faust", "mode", "aiokafka", "kafka", "aiohttp.access", "slack_sdk", "asyncio")
"""Packages whose warnings are ours to hear, but not their every step."""


def configure(settings: Settings) -> None:
    """Set up logging for this process: structlog's and the standard library's in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    drawn: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if settings.log_format == "json":
        last.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_worth_saying)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*last, drawn])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hush() -> None:
    """For commands, which tell the outcome themselves: nothing on the way there."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _worth_saying(record: logging.LogRecord) -> bool:
    """All but the steps of Faust's services, which log as the module of their class."""
    return record.levelno >= logging.WARNING or not str(record.msg).startswith("[^")

"""Logging: one line for each event, on stderr, for people or as JSON.

Every error that a process writes goes through here, whatever its source: structlog, the standard
library, Faust, asyncio, warnings, and what Python prints of an exception that nobody has caught. Exceptions
are formatted by `tracebacks`, so that no text of a record and no secret gets into the log.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

import structlog

from llmvitals.errors import LlmvitalsError
from llmvitals.tracebacks import plain, shown, summary

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from llmvitals.settings import Settings

    Caught = tuple[type[BaseException], BaseException, TracebackType | None]

QUIET: Final = ("faust", "mode", "aiokafka", "kafka", "aiohttp.access", "slack_sdk", "asyncio")
"""Packages whose warnings are ours to hear, but not their every step."""

log: Final = logging.getLogger("llmvitals")

DEFECT: Final = "a defect in llmvitals: please report it"

_TOLD: Final = "_llmvitals_told"
"""The attribute of an exception that the log already has."""
_AGAIN: Final = "Reraising original exception..."
"""The end of what Faust says of a crash that it has told before."""


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
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(_traceback),
        _presentable,
        drawn,
    ]
    handler = _Handler(sys.stderr)
    handler.addFilter(_worth_saying)
    handler.setFormatter(_Formatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.showwarning = _warned
    catch()


def hush() -> None:
    """Log nothing: commands report the outcome themselves."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def catch() -> None:
    """Pass every uncaught exception to `uncaught`, instead of having Python print it."""
    sys.excepthook = lambda _, error, __: uncaught(error)
    sys.unraisablehook = lambda told: uncaught(told.exc_value)
    threading.excepthook = lambda told: uncaught(told.exc_value)


def uncaught(error: BaseException | None) -> None:
    """Log an uncaught exception; print it if no log is set up."""
    if error is None or isinstance(error, KeyboardInterrupt | SystemExit):
        return
    if any(isinstance(handler, _Handler) for handler in logging.getLogger().handlers):
        log.critical(DEFECT, exc_info=error)
    else:
        sys.stderr.write(f"{plain(error)}\nllmvitals: {DEFECT}\n")


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        # logging itself would print the record's arguments.
        error = sys.exc_info()[1]
        why = summary(error) if error is not None else ""
        sys.stderr.write(
            f"a line of the log from {record.pathname}:{record.lineno} can't be written: {why}\n"
        )


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        record, errors = copy.copy(record), _errors(record)
        if errors and isinstance(errors[-1], LlmvitalsError) and errors[-1] in errors[:-1]:
            record.exc_info = None  # its text, in the line, says it all
        if isinstance(record.args, tuple):
            record.args = tuple(map(shown, record.args))
        elif record.args:
            record.args = shown(record.args)
        if isinstance(record.msg, BaseException):
            record.msg = summary(record.msg)
        elif record.name == "asyncio" and isinstance(record.msg, str):
            # It appends the repr of tasks, callbacks and their arguments, exceptions included.
            record.msg = record.msg.partition("\n")[0].partition("(")[0]
        record.exc_text = None  # another handler's
        return super().format(record)


def _presentable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep only values that are numbers or texts."""
    return {key: shown(value) for key, value in event.items()}


def _traceback(exc_info: Caught) -> str:
    return plain(exc_info[1])


def _warned(*told: Any, **_: Any) -> None:
    """Log a warning of Python, (text, kind, file, line …) without its text, which may quote a value."""
    log.warning("%s at %s:%d", told[1].__name__, *told[2:4])


def _worth_saying(record: logging.LogRecord) -> bool:
    """Drop the steps of Faust's services, and their reports of an error that is logged already.

    These services log under the module of their class.
    """
    errors = _errors(record)
    if str(record.msg).endswith(_AGAIN):
        return False
    faust = record.name.partition(".")[0] in {"faust", "mode"} or str(record.msg).startswith("[^")
    if faust and (record.levelno < logging.WARNING or any(getattr(each, _TOLD, False) for each in errors)):
        return False
    for error in errors:
        with contextlib.suppress(AttributeError):
            setattr(error, _TOLD, True)
    return True


def _errors(record: logging.LogRecord) -> list[BaseException]:
    """Return the exceptions of a log record."""
    brought = [*record.args] if isinstance(record.args, tuple) else []
    brought.append(record.exc_info[1] if isinstance(record.exc_info, tuple) else None)
    return [each for each in brought if isinstance(each, BaseException)]

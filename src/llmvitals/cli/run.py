"""Commands that run: worker, demo."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

import typer

from llmvitals import settings as settings_
from llmvitals.runtime import logs
from llmvitals.runtime.kafka.watchdog import SUPERVISOR

if TYPE_CHECKING:
    from llmvitals.runtime.app import Kind

log = logging.getLogger(__name__)


class StageName(StrEnum):
    """What one worker process does."""

    ALL = "all"
    COMBINE = "combine"
    MERGE = "merge"
    SINK = "sink"
    SCORE = "score"


def worker(
    stage: Annotated[
        StageName, typer.Option(help="Run only this stage, so that you can scale the stages separately.")
    ] = StageName.ALL,
) -> None:
    """Run the stages on Kafka until SIGTERM or Ctrl-C.

    combine sums up calls, merge makes metrics and alerts from the sums, sink writes to stores and notifies;
    score scores texts, if scorers are set. Without --stage, the command starts one process for each stage and
    watches them; when one ends, all end with its exit code.
    """
    settings = settings_.load()
    logs.configure(settings)
    if SUPERVISOR not in os.environ:  # else the supervisor has said it
        for sentence in settings_.unknown():
            log.warning("%s", sentence)
    if stage is StageName.ALL:
        from llmvitals.pipeline import check  # noqa: PLC0415 - other commands don't need it
        from llmvitals.runtime.supervise import supervise  # noqa: PLC0415 - nor this

        for warning in check(settings):
            log.warning("%s", warning)
        stages = ["combine", "merge", "sink", *(["score"] if settings.scorers else [])]
        raise typer.Exit(supervise(stages, settings))
    from llmvitals.runtime.worker import work  # noqa: PLC0415

    raise typer.Exit(work(cast("Kind", stage.value), settings))


def demo(
    seconds: Annotated[int, typer.Option(min=20, max=3_600, help="How long to play traffic.")] = 120,
    plain: Annotated[bool, typer.Option(help="Print lines instead of a live screen.")] = False,
) -> None:
    """Play the traffic of a small company with three incidents, on a real Kafka that it starts.

    Ten minutes of a real trace take a minute. If Kafka can't be downloaded, the same stages run in this
    process. With LLMVITALS_BROKERS or --brokers the demo runs on your Kafka.
    """
    from llmvitals.local.demo import play  # noqa: PLC0415

    raise typer.Exit(play(seconds, plain=plain or not sys.stdout.isatty()))


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    for command in (demo, worker):
        app.command()(command)

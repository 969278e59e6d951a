"""Commands that run something: worker, demo."""

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
        StageName, typer.Option(help="One stage, which is what a cluster scales.")
    ] = StageName.ALL,
) -> None:
    """Run the stages on Kafka until told to stop.

    combine turns calls into partial sums, merge makes metrics and alerts of them, sink writes and notifies;
    score, where scorers are set, has texts scored. Without --stage, one process of each is started and
    watched; when one ends, all end with its exit code.
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
    seconds: Annotated[int, typer.Option(min=20, max=3_600, help="How long the traffic plays.")] = 120,
    plain: Annotated[bool, typer.Option(help="No live screen: lines, for logs.")] = False,
) -> None:
    """See it work: a real Kafka, a small company's traffic, and three things that go wrong.

    Ten minutes of a real trace are played in a minute. Without a network to fetch Kafka from, the same
    stages run in this process. LLMVITALS_BROKERS or --brokers plays it on a Kafka of yours.
    """
    from llmvitals.local.demo import play  # noqa: PLC0415

    raise typer.Exit(play(seconds, plain=plain or not sys.stdout.isatty()))


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    for command in (demo, worker):
        app.command()(command)

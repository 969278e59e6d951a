"""One worker process: builds the stages or sinks of its kind and runs them on Kafka."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError
from llmvitals.pipeline import Pipeline, check, routing, scoring
from llmvitals.record.log import Topic
from llmvitals.runtime import app, garbage
from llmvitals.runtime.health import Health
from llmvitals.runtime.kafka.watchdog import SUPERVISOR
from llmvitals.runtime.stop import heard
from llmvitals.score import ScorerWorker
from llmvitals.stage import SinkBinding
from llmvitals.store.registry import store_sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.settings import Settings
    from llmvitals.stage import Reread, StageFactory

log = logging.getLogger(__name__)


def work(stage: app.Kind, settings: Settings) -> int:
    """Run one stage until it is told to stop; the exit code.

    Raises ConfigError before anything is started when the settings or the rules are wrong.
    """
    if stage == "sink":
        store_sink(settings)
    elif SUPERVISOR not in os.environ:  # else the supervisor has logged them
        warn(settings)

    def factory(partitions: Mapping[str, int]) -> StageFactory:
        if stage == "score":
            return scoring(settings, workers)
        pipeline = Pipeline.of(settings, partitions[settings.topic(Topic.PARTIALS)], settings.sources)
        return pipeline.combining if stage == "combine" else pipeline.merging

    def assemble(partitions: Mapping[str, int]) -> StageFactory | Sequence[SinkBinding]:
        if stage != "sink":
            return factory(partitions)
        refuse_partitions(settings, partitions)
        return sinks(settings, health)

    def reread(partitions: Mapping[str, int]) -> Reread:
        if stage == "merge":  # one of the three workers logs the warnings
            warn(settings)
        return routing(settings) if stage == "sink" else factory(partitions)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the rules can be read again
    garbage.bound_stops()
    with (
        heard(),
        Health(settings, stage) as health,
        scorers(settings if stage == "score" else None, health) as workers,
    ):
        return app.run(stage, settings, assemble, health, reread=reread)


@contextmanager
def scorers(settings: Settings | None, health: Health) -> Iterator[list[ScorerWorker]]:
    """Start the scorers of the settings (None: none), each in a process of its own. Raises ConfigError."""
    if settings is not None and not settings.scorers:
        raise ConfigError("scorers: none are set, so there is nothing to score: set LLMVITALS_SCORERS")
    workers = [ScorerWorker(setting, health.note) for setting in (settings.scorers if settings else ())]
    try:
        for worker in workers:
            worker.open()
        yield workers
    finally:
        for worker in workers:
            worker.close()


def refuse_partitions(settings: Settings, partitions: Mapping[str, int]) -> None:
    """Raise ConfigError when a topic that must have one partition has several."""
    for topic, why in (
        (Topic.ALERTS, "else each worker that has one would tell of every alert"),
        (Topic.VERDICTS, "else gateways, which read the first, would miss the others"),
    ):
        name = settings.topic(topic)
        if (count := partitions[name]) != 1:
            raise ConfigError(
                f"{name} has {count} partitions and has to have one, {why}: delete it while no worker runs, "
                "and let `llmvitals topics apply` make it again, or set another topic_prefix"
            )


def warn(settings: Settings) -> None:
    """Log the warnings about the rules. Raises ConfigError for what is wrong."""
    for warning in check(settings):
        log.warning("%s", warning)


def sinks(settings: Settings, health: Health) -> list[SinkBinding]:
    """Return the sinks of points and alerts. Raises ConfigError for rules that are wrong."""
    from llmvitals.alerting import incident_sink  # noqa: PLC0415 - other stages don't need Slack's client

    incidents = incident_sink(settings, routing(settings), meters=health)
    bindings = [
        SinkBinding(
            Topic.ALERTS, incidents, history=Topic.INCIDENTS, beside=Topic.SILENCES, after=Topic.WATERMARKS
        )
    ]
    if (points := store_sink(settings, meters=health)) is not None:
        bindings.append(SinkBinding(Topic.VITALS, points))
    return bindings

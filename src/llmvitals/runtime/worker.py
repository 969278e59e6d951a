"""One worker process: what its stage is made of, put on Kafka by app.py."""

from __future__ import annotations

import gc
import logging
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError
from llmvitals.incidents import IncidentSink
from llmvitals.notify.slack.buttons import listening
from llmvitals.pipeline import Pipeline, check, routing, scoring
from llmvitals.record.log import Topic
from llmvitals.runtime import app
from llmvitals.runtime.health import Health
from llmvitals.runtime.kafka.watchdog import SUPERVISOR
from llmvitals.runtime.stop import heard
from llmvitals.score import ScorerWorker
from llmvitals.stage import SinkBinding
from llmvitals.store.registry import store_sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.routing import Routing
    from llmvitals.settings import Settings
    from llmvitals.stage import Make

log = logging.getLogger(__name__)


def work(stage: app.Kind, settings: Settings) -> int:
    """Run one stage until it is told to stop; the exit code.

    Raises ConfigError before anything is started when the settings or the rules are wrong.
    """
    if stage == "sink":
        store_sink(settings)
    elif SUPERVISOR not in os.environ:  # else the supervisor has said it
        warn(settings)

    def assemble(partitions: Mapping[str, int]) -> Make | Sequence[SinkBinding]:
        if stage == "sink":
            alone(settings, partitions)
            return taps(settings, health)
        if stage == "score":
            return scoring(settings, benches)
        pipeline = Pipeline.of(settings, partitions[settings.topic(Topic.PARTIALS)], settings.sources)
        return pipeline.combining if stage == "combine" else pipeline.merging

    def reread(partitions: Mapping[str, int]) -> Make | Sequence[SinkBinding] | Routing:
        if stage == "merge":  # one of the three says it
            warn(settings)
        return routing(settings) if stage == "sink" else assemble(partitions)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to be read again
    # Batches are tens of thousands of young objects without cycles: looking for cycles among them every
    # 700 allocations costs a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with (
        heard(),
        Health(settings, stage) as health,
        scorers(settings if stage == "score" else None, health) as benches,
    ):
        return app.run(stage, settings, assemble, health, reread=reread)


@contextmanager
def scorers(settings: Settings | None, health: Health) -> Iterator[list[ScorerWorker]]:
    """The scorers of the settings (None: none), each in its process. Raises ConfigError."""
    if settings is not None and not settings.scorers:
        raise ConfigError("scorers: none are set, so there is nothing to score: set LLMVITALS_SCORERS")
    benches = [ScorerWorker(each, health.note) for each in (settings.scorers if settings else ())]
    try:
        for bench in benches:
            bench.open()
        yield benches
    finally:
        for bench in benches:
            bench.close()


def alone(settings: Settings, partitions: Mapping[str, int]) -> None:
    """Refuse topics that would have several owners or readers. Raises ConfigError."""
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
    """Say what is odd about the rules. Raises ConfigError for what is wrong."""
    for warning in check(settings):
        log.warning("%s", warning)


def taps(settings: Settings, health: Health) -> list[SinkBinding]:
    """Where points and alerts end. Raises ConfigError for rules that are wrong."""
    desk = IncidentSink(settings, routing(settings), meters=health, buttons=listening(settings))
    found = [
        SinkBinding(
            Topic.ALERTS, desk, history=Topic.INCIDENTS, beside=Topic.SILENCES, after=Topic.WATERMARKS
        )
    ]
    if (where := store_sink(settings, meters=health)) is not None:
        found.append(SinkBinding(Topic.VITALS, where))
    return found

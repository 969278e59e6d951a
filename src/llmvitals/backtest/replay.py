"""Runs events through both stages in this process, for `llmvitals replay` and the demo without Kafka."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from llmvitals.alerting import DEFAULT_CHANNEL, IncidentReplay
from llmvitals.backtest.merge_processes import MergeProcesses
from llmvitals.backtest.screening import Screening
from llmvitals.backtest.temporary_log import TemporaryLog
from llmvitals.errors import ConfigError
from llmvitals.metrics.columns import CALLS, COUNTS
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import decode
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from llmvitals.alerting import Told
    from llmvitals.combine import Combine
    from llmvitals.merge.plan import MergePlan
    from llmvitals.record.log import Logged
    from llmvitals.record.point import Point
    from llmvitals.settings import Settings

    OnProgress = Callable[[str, float], None]

SOURCE: Final = "replay"
BATCH: Final = 2_000
PANES: Final = 64
"""So many panes, about, a batch of the second reading spans where rules look at all panes that are open."""
_FEWEST: Final = 16
Outcome = dict[str, Any]


class Replay:
    """Both stages, with one partition each; what stage 1 emits goes to stage 2 at once.

    plans: if any, stage 2 is in a process for each of them; see MergeProcesses. limited: whether a view may
    have more series than its limit, so that the batches decide which of them count together.
    """

    def __init__(self, pipeline: Pipeline, plans: Sequence[MergePlan] = (), *, limited: bool = True) -> None:
        self.stages = pipeline.alone({SOURCE: 1})
        if plans:
            self.stages.merge = MergeProcesses(plans)
        self.steady = not (limited or any(map(pipeline.merge.eager, pipeline.merge.views)))
        """Whether batches of any size have the same alerts: no view is limited, no rule reads open panes."""

    @classmethod
    def of(cls, settings: Settings) -> Replay:
        """The stages that the settings ask for. Raises ConfigError (RuleError for rules)."""
        return cls(Pipeline.of(settings, 1, [SOURCE]))

    @property
    def combine(self) -> Combine:
        """Stage 1."""
        return self.stages.combines[SOURCE, 0]

    def feed(self, events: Sequence[Logged]) -> list[Message]:
        """Run events; returns dead letters, points and alerts."""
        return self.stages.feed(SOURCE, 0, events)

    def upto(self, time: int) -> list[Message]:
        """Let time pass without calls up to a time (µs), and return what that brings about."""
        self.combine.promise(time)
        return [*self.feed([]), *self.feed([])]

    def finish(self) -> list[Message]:
        """Close all open panes, and return what they emit."""
        return [*self.stages.end(SOURCE, 0), *self.stages.merge.finish()]


def replay_lines(
    lines: Iterable[bytes],
    settings: Settings,
    *,
    until: str | None = None,
    progress: OnProgress = lambda _name, _share: None,
) -> Outcome:
    """Run all lines as the log of one partition. docs/incidents.md has the shape of the outcome.

    They are read twice: first to find the series in which a rule may fire, then for the alerts of these, as
    most series have none. until: a time (ISO 8601, UTC by default) or a duration after the last call (20m) up
    to which time passes; None: it ends with the last call. progress: called with the name of a reading and
    the share of it that is done, 0 … 1. Raises ConfigError if `until` is neither.
    """
    _end(until, 0)
    # The totals are read from the view of all calls.
    settings = settings.model_copy(update={"default_views": True})
    pipeline = Pipeline.of(settings, 1, [SOURCE])
    letters: Counter[str] = Counter()
    with closing(TemporaryLog(map(_record, lines))) as log:
        first = Screening(pipeline, SOURCE)
        records = log.records()
        while batch := list(islice(records, BATCH)):
            letters.update(_codes(first.feed(batch)))
            progress("first reading: which series have alerts", (batch[-1].offset + 1) / len(log))
        newest = first.watermark + duration(settings.disorder)
        end = _end(until, newest)
        first.end(end)
        points, chosen, alerts = first.days(), first.series, list[Alert]()
        if chosen or points is None:
            # Rules and prices may remember calls, so both readings begin with new ones.
            again = Pipeline.of(settings, 1, [SOURCE])
            second = again.only(chosen, days=points is None)
            parts = first.shares() if points is not None else ()
            plans = [again.only(part, days=False).merge for part in parts]
            stages = Replay(second, plans, limited=points is None or first.limited(chosen))
            told = partial(progress, "second reading: these alerts")
            added_up, alerts = _run(stages, log, end if end > newest else None, told)
            points = added_up if points is None else points
    alerts.sort(key=Alert.order)
    incidents = IncidentReplay(pipeline.engine.rules.routing, settings.slack_channel or DEFAULT_CHANNEL)
    asyncio.run(incidents.run(alerts, max(end, newest)))
    days = [point for point in points if point.measurement == CALLS]
    outcome = _outcome(first.counters, days, alerts, letters)
    return outcome | {"incidents": incidents.rows(), "messages": [_message(told) for told in incidents.told]}


def _run(
    stages: Replay, log: TemporaryLog, until: int | None, progress: Callable[[float], None]
) -> tuple[list[Point], list[Alert]]:
    """Run a log through the stages; returns the points and the alerts. until: see `Replay.upto`."""
    points: list[Point] = []
    alerts: list[Alert] = []

    def keep(messages: Iterable[Message]) -> None:
        for message in messages:
            if message.topic is Topic.VITALS:
                points.extend(decode(message.value or b""))
            elif message.topic is Topic.ALERTS:
                alerts.append(Alert.decode(message.value or b""))

    records, size = log.records(), BATCH if stages.steady else _FEWEST
    while batch := list(islice(records, size)):
        floor = stages.combine.floor
        keep(stages.feed(batch))
        progress((batch[-1].offset + 1) / len(log))
        if not stages.steady:
            size = max(_FEWEST, min(BATCH, size * PANES // max(stages.combine.floor - floor, 1)))
    if until is not None:
        keep(stages.upto(until))
    keep(stages.finish())
    return points, alerts


def _codes(messages: Iterable[Message]) -> Iterator[str]:
    """The error codes of dead letters."""
    for message in messages:
        if message.topic is Topic.DEAD_LETTERS:
            yield dict(message.headers)["llmvitals.err.code"].decode()


def _record(line: bytes) -> bytes:
    """A record without the end of its line; protobuf, which begins with a line feed, is left as it is."""
    return line if line[:1] == b"\n" else line.rstrip(b"\n")


def _outcome(
    counters: dict[str, int], points: list[Point], alerts: list[Alert], letters: Counter[str]
) -> Outcome:
    every = [point for point in points if point.tags["view"] == "all"]
    totals: dict[str, Any] = {name: sum(p.counts.get(name, 0) for p in every) for name in COUNTS[CALLS]}
    totals["cost_usd"] = totals["cost_nano"] / 1e9
    names = ("in", "applied", "duplicate", "dead_lettered", "filtered", "late")
    return {
        **{name: counters.get(name, 0) for name in names},
        "dead_letters": dict(sorted(letters.items())),
        "totals": totals,
        "kinds": _kinds(totals),
        "series": [
            _series(point) for point in sorted(points, key=lambda p: (p.start, sorted(p.tags.items())))
        ],
        "alerts": [json.loads(alert.encode()) for alert in alerts if not alert.update],
    }


def _kinds(totals: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The totals by kind of event. The sums of calls and tokens have those of embeddings in them."""
    models, failed = (totals[f"{name}"] - totals[f"embedding_{name}"] for name in ("calls", "errors"))
    return {
        "llm": {
            "ok": models - failed - totals["stopped_calls"],
            "error": failed,
            "input_tokens": totals["input_tokens"] - totals["embedding_tokens"],
            "output_tokens": totals["output_tokens"],
        },
        "embedding": _outcomes(totals, "embedding_calls", "embedding_errors")
        | {"input_tokens": totals["embedding_tokens"]},
        "retrieval": _outcomes(totals, "retrieval_calls", "retrieval_errors"),
        "tool": _outcomes(totals, "tool_runs", "tool_errors"),
        "guardrail": {
            "ok": totals["verdicts"],
            "flag": totals["guardrail_flags"],
            "fix": totals["guardrail_fixes"],
            "block": totals["guardrail_blocks"],
        },
        "evaluation": {"ok": totals["evaluations"]},
        "outcome": {"ok": totals["outcomes"]},
    }


def _outcomes(totals: dict[str, Any], every: str, failed: str) -> dict[str, int]:
    return {"ok": totals[every] - totals[failed], "error": totals[failed]}


def _end(until: str | None, newest: int) -> int:
    """The time (µs) of `until`; newest: of the last call."""
    if until is None:
        return newest
    try:
        return newest + duration(until)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(until)
    except ValueError:
        cure = "write a time such as 2026-07-01T00:00:00Z, or how long after the last call, such as 20m"
        raise ConfigError(f"--until: {until!r} is no time: {cure}") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * SECOND)


def _message(told: Told) -> dict[str, Any]:
    names = ("at", "what", "channel", "incident", "text")
    return {name: getattr(told, name) for name in names}


def _series(point: Point) -> dict[str, Any]:
    dims = {name: value for name, value in point.tags.items() if name not in ("view", "window")}
    day = datetime.fromtimestamp(point.start / SECOND, UTC).date().isoformat()
    return {"view": point.tags["view"], "day": day, "by": dims, **point.counts, **point.measures}

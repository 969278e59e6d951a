"""Plays a test's calls through the stages, and looks at what fires when."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import ConfigError
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Topic
from llmvitals.ruletest.compare import Failure, compared
from llmvitals.watch import load_watch
from llmvitals.window import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from llmvitals.combine import Combine
    from llmvitals.merge import Merge
    from llmvitals.record.log import Message
    from llmvitals.ruletest.case import Case, Suite
    from llmvitals.settings import Settings

SOURCE: Final = "test"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a test; it passed when there are no failures."""

    case: Case
    failures: tuple[Failure, ...]


class Runner:
    """Runs tests of the rules in a folder; settings: those of the worker, but for views and pane."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings.model_copy(update={"alerts": folder, "default_views": False, "views": ()})
        self._pipelines: dict[tuple[tuple[str, ...], int], Pipeline] = {}

    def run(self, suite: Suite, case: Case) -> Outcome:
        """One test of a file. Raises ConfigError for a call that can't be read."""
        stages = _Stages(self._pipeline(suite))
        alerts: list[Alert] = []
        for pane, events in itertools.groupby(_events(case), key=lambda event: event[0] // suite.pane):
            alerts += stages.feed(events, (pane + 1) * suite.pane)
        alerts += stages.reach(case.start + case.end + suite.pane)
        alerts.sort(key=lambda alert: alert.at)
        if case.only:
            alerts = [alert for alert in alerts if alert.rule in case.only]
        return Outcome(case, tuple(compared(case, alerts)))

    def _pipeline(self, suite: Suite) -> Pipeline:
        key = suite.rules, suite.pane
        if key not in self._pipelines:
            settings = self._settings.model_copy(update={"pane": duration_text(suite.pane)})
            watch = load_watch(settings.alerts, suite.pane, (), only=suite.rules)
            self._pipelines[key] = Pipeline.of(settings, 1, [SOURCE], watch=watch)
        return self._pipelines[key]


@dataclass(slots=True)
class _Stages:
    """Both stages in one piece; each pane is closed as soon as its last call is in."""

    pipeline: Pipeline
    combine: Combine = field(init=False)
    merge: Merge = field(init=False)
    frames: int = 0

    def __post_init__(self) -> None:
        self.combine = self.pipeline.combining(SOURCE, 0, parts={}, beginning=0, sources={SOURCE: 1})
        self.merge = self.pipeline.merging("", 0, parts={}, beginning=0, sources={})

    def feed(self, events: Iterable[tuple[int, bytes]], end: int) -> list[Alert]:
        """The calls of one pane, which ends then (µs)."""
        first = self.combine.next
        out = self.combine.apply(
            [Logged(first + number, time // 1_000, data) for number, (time, data) in enumerate(events)]
        )
        return [*self._pass_on(out), *self.reach(end)]

    def reach(self, time: int) -> list[Alert]:
        """Nothing comes any more before this time (µs)."""
        self.combine.promise(time)
        out = self.combine.flush()
        self.combine.delivered(self.combine.mark())
        return self._pass_on([*out, *self.combine.flush()])

    def _pass_on(self, messages: Iterable[Message]) -> list[Alert]:
        frames: list[Logged] = []
        for message in messages:
            if message.topic is Topic.DEAD_LETTERS:
                why = dict(message.headers).get("llmvitals.err.message", b"").decode()
                raise ConfigError(f"a call of the test can't be read: {why}")
            frames.append(Logged(self.frames + len(frames), 0, message.value, message.key))
        self.frames += len(frames)
        out = [*self.merge.apply(frames), *self.merge.flush()]
        return [Alert.decode(one.value or b"") for one in out if one.topic is Topic.ALERTS]


def _events(case: Case) -> Iterator[tuple[int, bytes]]:
    """(time in µs, event) of all calls, in the order of their times."""
    lines = [
        ((case.start + after, line, fields) for after, fields in calls.events())
        for line, calls in enumerate(case.calls)
    ]
    ordered = sorted(itertools.chain.from_iterable(lines), key=lambda call: call[:2])
    for number, (time, _, fields) in enumerate(ordered):
        event: dict[str, Any] = {"id": f"call-{number + 1}", "ts": time // 1_000, **fields}
        yield time, json.dumps(event).encode()

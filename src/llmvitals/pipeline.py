"""The stages in order, built from the settings, without Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from llmvitals import ingest
from llmvitals.combine import Combine, CombinePlan, Interners
from llmvitals.errors import ConfigError
from llmvitals.merge import Limits, Merge, MergePlan
from llmvitals.price import Prices
from llmvitals.record.native import DECODER
from llmvitals.record.view import DEFAULT_VIEWS, DIMENSIONS, Condition, View
from llmvitals.rules.chosen_series import ChosenSeries
from llmvitals.rules.engine import RuleEngine, load_engine
from llmvitals.score import Score, ScorePlan, find
from llmvitals.store.registry import store_sink
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmvitals.record.frame import AnyFrame
    from llmvitals.record.log import Message, Record
    from llmvitals.routing import Routing
    from llmvitals.rules.chosen_series import Chosen
    from llmvitals.score import ScorerWorker
    from llmvitals.settings import Settings, ViewSetting
    from llmvitals.stage import StageFactory


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Calls ──combine──► frames ──merge with the rules──► points and alerts.

    combine: input topic → its plan; "" is the plan of all others.
    """

    combine: Mapping[str, CombinePlan]
    merge: MergePlan
    engine: RuleEngine
    _interners: dict[str, Interners] = field(init=False, default_factory=dict)
    """Those of each plan, for all partitions of this process."""

    @classmethod
    def of(
        cls, settings: Settings, shards: int, inputs: Sequence[str], *, engine: RuleEngine | None = None
    ) -> Pipeline:
        """Build the pipeline of the settings and the rules.

        shards: partitions of the partials topic. inputs: the topics that merge waits for. engine: the rule
        engine, where it is not that of the settings' folder.

        Raises ConfigError (RuleError for the rules) that names what is wrong.
        """
        pane = duration(settings.pane)
        own = _views(settings)
        engine = engine or load_engine(settings.alerts, pane, own)
        # A rule's view stands in for the one of the same name: the same series, but eager. Only rules read
        # exemplars; points have none.
        unread = (replace(view, exemplars=False) for view in own)
        views = tuple({view.name: view for view in (*unread, *engine.views)}.values())
        prices = Prices.of(settings)
        engine.ratio = prices.ratio
        for topic, form in settings.formats.items():
            ingest.check_format(topic, form)

        def plan(form: str | None) -> CombinePlan:
            made = CombinePlan.of(
                settings,
                views=views,
                shards=shards,
                decode=ingest.decoder(settings, form),
                native=DECODER.decode if form in (None, "native") else None,
                assess=prices.assess_all,
            )
            return replace(made, unknown_models=prices.unknown, unmetered=prices.unmetered)

        return cls(
            {"": plan(None)} | {topic: plan(form) for topic, form in settings.formats.items()},
            MergePlan(
                pane_us=pane,
                views={view.name: view for view in views},
                contributors=settings.contributors,
                engine=engine,
                inputs=frozenset(inputs),
                limits=Limits(settings.max_series, settings.max_watched),
                shards=shards,
            ),
            engine,
        )

    def combining(
        self, topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ) -> Combine:
        """Make the combine stage of one source partition (a `StageFactory`)."""
        own = topic if topic in self.combine else ""
        plan = self.combine[own]
        if own not in self._interners:
            self._interners[own] = Interners(plan)
        return Combine(
            plan,
            source=f"{topic}/{partition}",
            sources=sources,
            parts=parts,
            beginning=beginning,
            interners=self._interners[own],
        )

    def merging(
        self, topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ) -> Merge:
        """Make the merge stage of one shard (a `StageFactory`)."""
        del topic, sources
        return Merge(self.merge, shard=partition, parts=parts, beginning=beginning)

    def alone(self, sources: Mapping[str, int]) -> Alone:
        """Return both stages without Kafka; sources: topic → its partitions. Only rules raise alerts."""
        combine = {
            topic: replace(plan, dead_letters="", packed=False) for topic, plan in self.combine.items()
        }
        return Alone(replace(self, combine=combine), sources)

    def only(self, chosen: Chosen, *, days: bool) -> Pipeline:
        """The pipeline of some rules of some series.

        days: whether all views have points, those of days; else the other views are left out.
        """
        engine = ChosenSeries(self.engine, chosen)
        views = tuple(
            engine.narrowed(view, limited=days)
            if view.name in chosen
            else replace(view, contributors=False, exemplars=False)
            for view in self.merge.views.values()
            if view.name in chosen or (days and view.stored)
        )
        by_name = {view.name: view for view in views}
        merge = replace(self.merge, views=by_name, engine=engine, windows="days" if days else "none")
        combine = {topic: replace(plan, views=views) for topic, plan in self.combine.items()}
        return replace(self, combine=combine, merge=merge)


def merge_alone(plan: MergePlan) -> Merge:
    """Make a merge stage without checkpoints."""
    # Buckets are for checkpoints: without those, each bucket only costs work with every pane.
    return Merge(replace(plan, buckets=1), shard=0, parts={}, beginning=0)


class MergesFrames(Protocol):
    """Stage 2, or what stands for it."""

    def apply_frames(self, frames: Iterable[AnyFrame]) -> list[Message]:
        """Apply frames; return the points and alerts so far."""

    def flush(self) -> list[Message]:
        """Return what is due now."""

    def finish(self) -> list[Message]:
        """End the log; return the other points and alerts."""


class Alone:
    """Both stages without Kafka and checkpoints: a combine for each partition, and one merge.

    Frames go from combine to merge at once, unpacked. merge: may be replaced before the first frame.
    """

    def __init__(self, pipeline: Pipeline, sources: Mapping[str, int]) -> None:
        self.combines = {
            (topic, number): pipeline.combining(topic, number, parts={}, beginning=0, sources={**sources})
            for topic, count in sources.items()
            for number in range(count)
        }
        self.merge: MergesFrames = merge_alone(pipeline.merge)

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> list[Message]:
        """Take the next records of a partition; return dead letters, points and alerts."""
        combine = self.combines[topic, partition]
        out = combine.apply(records)
        combine.delivered(combine.mark())
        return [*out, *combine.flush(), *self._pass_on(combine)]

    def end(self, topic: str, partition: int) -> list[Message]:
        """End a partition; return the points and alerts that this brings about."""
        combine = self.combines[topic, partition]
        return [*combine.finish(), *self._pass_on(combine)]

    def _pass_on(self, combine: Combine) -> list[Message]:
        return [*self.merge.apply_frames(combine.hand_over()), *self.merge.flush()]


def check(settings: Settings) -> Sequence[str]:
    """Check rules, views, prices, stores and scorers before anything is started; return the rules' warnings.

    Raises ConfigError (RuleError for the rules) that names what is wrong.
    """
    store_sink(settings)
    for scorer in settings.scorers:
        find(scorer.scorer)
    return Pipeline.of(settings, 1, settings.sources).engine.rules.warnings


def scoring(settings: Settings, workers: Sequence[ScorerWorker]) -> StageFactory:
    """Return the factory of score stages; workers: the scorers, opened."""
    plans = {
        topic: ScorePlan(workers, ingest.decoder(settings, form, texts=True), settings.max_batch_bytes)
        for topic, form in {**dict.fromkeys(settings.calls), **settings.formats}.items()
    }

    def make(
        topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ) -> Score:
        del partition, sources
        return Score(plans[topic], parts=parts, beginning=beginning)

    return make


def routing(settings: Settings) -> Routing:
    """Read the routes of alerts from the rules. Raises RuleError."""
    return load_engine(settings.alerts, duration(settings.pane), _views(settings)).rules.routing


def _views(settings: Settings) -> tuple[View, ...]:
    default = DEFAULT_VIEWS if settings.default_views else ()
    views = {view.name: view for view in (*default, *map(_view, settings.views))}
    return tuple(views.values())


def _view(setting: ViewSetting) -> View:
    for name in (*setting.by, *setting.where):
        if name not in DIMENSIONS and not name.startswith("tags."):
            raise ConfigError(
                f"views: {setting.name}: there is no dimension {name!r}: "
                f"write one of {', '.join(DIMENSIONS)} or tags.NAME"
            )
    where = tuple(
        (name, Condition(frozenset([wanted] if isinstance(wanted, str) else wanted)))
        for name, wanted in sorted(setting.where.items())
    )
    return View(setting.name, setting.by, where, contributors=setting.contributors)

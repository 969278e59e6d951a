"""The declared topics: reads the files of `topics/`, one for each topic, and compares them with the broker's.

The files have the format of topicctl.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from llmvitals.errors import ConfigError
from llmvitals.rules.yaml_reader import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.settings import Settings

_PREFIX: Final = "llm."
_KNOWN: Final = frozenset({
    "cleanup.policy", "compression.type", "delete.retention.ms", "flush.messages", "flush.ms",
    "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.type", "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms", "min.insync.replicas", "preallocate", "retention.bytes", "retention.ms",
    "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
    "unclean.leader.election.enable",
})  # fmt: skip
"""The topic settings that every Kafka from 2.8 to 4.x knows."""

_SINGLE: Final = (".alerts.v1", ".verdicts.v1")
"""The ends of the names of topics that must have one partition; see worker.refuse_partitions."""

_SHARDED: Final = ".partials.v1"
"""The end of the name of the topic whose partitions own the series."""


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(pattern=r"^llm(\.[a-z]+)+\.v\d+$")]
    description: Annotated[str, StringConstraints(min_length=20)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    partitions: int = Field(ge=1)
    replication_factor: int = Field(-1, alias="replicationFactor")
    retention_minutes: int | None = Field(None, alias="retentionMinutes", ge=1)
    settings: dict[str, bool | int | float | str] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    meta: _Meta
    spec: _Spec


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is declared.

    replication: copies of each partition; -1: the broker's default.replication.factor, so that the same file
    works for one broker and for a cluster. settings: Kafka's names and values.
    """

    name: str
    description: str
    partitions: int
    replication: int = -1
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        """Whether Kafka keeps the newest record of each key."""
        return "compact" in self.settings.get("cleanup.policy", "")


def load(settings: Settings, folder: Path | None = None) -> list[Topic]:
    """The declared topics in the order of the data, named with the settings' prefix. Needs no broker.

    folder: default the files that come with llmvitals. Raises ConfigError that names every file and error.
    """
    folder = folder or shipped()
    topics: list[Topic] = []
    errors: list[str] = []
    files = sorted(folder.glob("*.yaml"))
    for file in files:
        try:
            topics.append(_read(file, settings.topic_prefix))
        except ConfigError as error:
            errors.append(str(error))
    names = [topic.name for topic in topics]
    errors += [f"{folder}: {name} is declared twice" for name in sorted(set(names)) if names.count(name) > 1]
    if not files:
        errors.append(f"{folder}: no topic is declared here")
    if errors:
        raise ConfigError("The declared topics are wrong:\n  " + "\n  ".join(errors))
    return topics


def shipped() -> Path:
    """The folder of the files that come with llmvitals: in the wheel, or `topics/` of a checkout."""
    inside = Path(__file__).parent / "files"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "topics"


def _read(file: Path, prefix: str) -> Topic:
    """The topic of a file. Raises ConfigError; RuleError with the place where it is not YAML."""
    try:
        declared = _File.model_validate(read_file(file).data)
    except ValidationError as error:
        places = (f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{file}: " + "; ".join(places)) from error
    spec = declared.spec
    texts = {key: _text(value) for key, value in spec.settings.items()}
    if unknown := sorted(set(texts) - _KNOWN):
        raise ConfigError(f"{file}: Kafka has no topic setting {', '.join(unknown)}")
    if spec.retention_minutes is not None:
        if "retention.ms" in texts:
            raise ConfigError(f"{file}: write retentionMinutes or settings.retention.ms, not both")
        texts["retention.ms"] = str(spec.retention_minutes * 60_000)
    if spec.replication_factor < 1 and spec.replication_factor != -1:
        raise ConfigError(
            f"{file}: spec.replicationFactor has to be 1 or more, or -1 for the broker's default"
        )
    name = f"{prefix}.{declared.meta.name.removeprefix(_PREFIX)}"
    return Topic(name, declared.meta.description, spec.partitions, spec.replication_factor, texts)


def _text(value: bool | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Present(NamedTuple):
    """A topic on the broker. settings: those in effect, the broker's defaults included."""

    partitions: int
    replication: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What `apply` does. False when there is nothing to do; its text is what commands print.

    create: topics that are missing. grow: name → (partitions now, wanted).
    change: name → setting → (value now, wanted). left: sentences about differences that stay.
    """

    declared: int = 0
    create: list[Topic] = field(default_factory=list)
    grow: dict[str, tuple[int, int]] = field(default_factory=dict)
    change: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.grow or self.change)

    def __str__(self) -> str:
        lines = [_created(topic) for topic in self.create]
        lines += [f"~ {name}: partitions {now} → {want}" for name, (now, want) in self.grow.items()]
        lines += [
            f"~ {name}: {key} {now or '(none)'} → {want}"
            for name, settings in self.change.items()
            for key, (now, want) in settings.items()
        ]
        lines += [f"! {text}" for text in self.left]
        if not self:
            lines.append(f"Nothing to do: all {self.declared} topics are there.")
        return "\n".join(lines)


def difference(wanted: Sequence[Topic], present: Mapping[str, Present]) -> TopicPlan:
    """The plan that turns the present topics into the wanted ones, without deleting anything."""
    plan = TopicPlan(declared=len(wanted))
    for topic in wanted:
        there = present.get(topic.name)
        if there is None:
            plan.create.append(topic)
            continue
        _partitions(topic, there, plan)
        if topic.replication not in {-1, there.replication}:
            plan.left.append(
                f"{topic.name} has {there.replication} replicas, {topic.replication} are declared: "
                "move them with kafka-reassign-partitions"
            )
        changes = {
            key: (there.settings.get(key, ""), value)
            for key, value in topic.settings.items()
            if not _same(there.settings.get(key), value)
        }
        if changes:
            plan.change[topic.name] = changes
    return plan


def _partitions(topic: Topic, there: Present, plan: TopicPlan) -> None:
    now, want = there.partitions, topic.partitions
    if now > want:
        harm = "workers refuse that" if topic.name.endswith(_SINGLE) else "more do no harm"
        plan.left.append(f"{topic.name} has {now} partitions, {want} are declared: {harm}")
    elif now < want and topic.compacted:
        plan.left.append(
            f"{topic.name} has {now} partitions, {want} are declared: a compacted topic is not grown, "
            "because its keys would move and their old records would stay"
        )
    elif now < want and topic.name.endswith(_SHARDED):
        plan.left.append(
            f"{topic.name} has {now} partitions, {want} are declared: it is not grown, because series would "
            "move away from their state, which merge refuses; for more, start anew with another topic_prefix"
        )
    elif now < want:
        plan.grow[topic.name] = (now, want)


def _same(now: str | None, want: str) -> bool:
    """Whether two values of a setting are equal; a list of policies has no order."""
    return now is not None and set(now.split(",")) == set(want.split(","))


def _created(topic: Topic) -> str:
    copies = "the broker's replication" if topic.replication == -1 else f"replication {topic.replication}"
    settings = ", ".join(f"{key}={value}" for key, value in sorted(topic.settings.items()))
    return f"+ {topic.name}: {topic.partitions} partitions, {copies}, {settings}"

"""Reads the declared topics: the files of `topics/`, one for each topic, in the format of topicctl."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from llmvitals.errors import ConfigError
from llmvitals.rules.yaml_reader import read_file

if TYPE_CHECKING:
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

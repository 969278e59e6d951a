"""Compares declared topics with those on the broker: what `apply` does, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.topics.declared import Topic

_SINGLE: Final = (".alerts.v1", ".verdicts.v1")
"""The ends of the names of topics that must have one partition; see worker.refuse_partitions."""

_SHARDED: Final = ".partials.v1"
"""The end of the name of the topic whose partitions own the series."""


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

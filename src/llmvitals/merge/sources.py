"""The sources of one shard: how far each has come, and which pane all of them have passed."""

from __future__ import annotations

import msgspec

from llmvitals.record.frame import Frame
from llmvitals.window import NEVER


class Sources(msgspec.Struct):
    """A pure function of the frames that were taken in, in the order of the log.

    floors: source → its greatest sealed floor. partitions: source topic → how many partitions it has; it
    never shrinks, so a zombie's old count cannot take a source away. low: every pane below it is closed; it
    never falls. joined: source → `low` when it was first heard of, where others had gone ahead of it.
    """

    floors: dict[str, int] = {}
    partitions: dict[str, int] = {}
    joined: dict[str, int] = {}
    low: int = NEVER

    def take(self, frame: Frame, inputs: frozenset[str]) -> bool:
        """Count a frame's floor in; whether anything changed. inputs: topics to wait for, empty for all."""
        changed = False
        for topic, count in frame.sources.items():
            known = self.partitions.get(topic, 0)
            if count > known:
                changed = True
                self.partitions[topic] = count
                if self.low > NEVER:
                    self.joined.update({f"{topic}/{number}": self.low for number in range(known, count)})
        if frame.floor > self.floors.get(frame.source, NEVER - 1):
            changed = True
            self.floors[frame.source] = frame.floor
        if changed:
            self.low = max(self.low, min(self._expected(inputs), default=NEVER))
        return changed

    def of(self, source: str) -> tuple[int, int]:
        """A source's floor, and the pane that its older ones count in."""
        return self.floors.get(source, NEVER), self.joined.get(source, NEVER)

    def silent(self, inputs: frozenset[str]) -> int:
        """How many of the expected sources have promised nothing yet."""
        return sum(floor < 0 for floor in self._expected(inputs))

    def _expected(self, inputs: frozenset[str]) -> list[int]:
        return [
            self.floors.get(f"{topic}/{number}", NEVER)
            for topic, count in self.partitions.items()
            if not inputs or topic in inputs
            for number in range(count)
        ]

    def copy(self) -> Sources:
        """Another one of the same contents."""
        return Sources(dict(self.floors), dict(self.partitions), dict(self.joined), self.low)

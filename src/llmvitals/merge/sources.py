"""The sources of one shard: the floor of each, and the pane that all of them have passed."""

from __future__ import annotations

import msgspec

from llmvitals.record.frame import AnyFrame
from llmvitals.window import NEVER


class Sources(msgspec.Struct):
    """The floors of all sources: a pure function of the frames, in the order of the log.

    floors: source → its greatest floor. partitions: source topic → its number of partitions, which never
    shrinks, so that an old count of a zombie worker removes no source. low: every pane below it is closed; it
    never falls.

    A source that appears late may have a floor below `low`. Then `low` stays until that source has sealed
    every pane below it.
    """

    floors: dict[str, int] = {}
    partitions: dict[str, int] = {}
    low: int = NEVER

    def take(self, frame: AnyFrame, inputs: frozenset[str]) -> bool:
        """Apply a frame's floor. Returns whether anything changed. inputs: topics to wait for, empty for all.

        A frame also announces its own partition, because a worker's metadata may be older than its
        assignment.
        """
        changed = False
        topic, number = _parsed(frame.source)
        for name, count in (*frame.sources.items(), (topic, number + 1)):
            if count > self.partitions.get(name, 0):
                changed = True
                self.partitions[name] = count
        if frame.floor > self.floors.get(frame.source, NEVER - 1):
            changed = True
            self.floors[frame.source] = frame.floor
        if changed:
            self.low = max(self.low, min(self._expected(inputs), default=NEVER))
        return changed

    def oldest(self, source: str, inputs: frozenset[str]) -> int:
        """The lowest pane for which a source may still send entries."""
        sealed = self.floors.get(source, NEVER)
        waited = not inputs or _parsed(source)[0] in inputs
        return sealed if waited else max(sealed, self.low)

    def silent(self, inputs: frozenset[str]) -> int:
        """How many of the expected sources have no floor yet."""
        return sum(floor < 0 for floor in self._expected(inputs))

    def _expected(self, inputs: frozenset[str]) -> list[int]:
        return [
            self.floors.get(f"{topic}/{number}", NEVER)
            for topic, count in self.partitions.items()
            if not inputs or topic in inputs
            for number in range(count)
        ]

    def copy(self) -> Sources:
        """A copy with the same contents."""
        return Sources(dict(self.floors), dict(self.partitions), self.low)


def _parsed(source: str) -> tuple[str, int]:
    """Topic and partition of a source; -1 where there is no number."""
    topic, _, number = source.rpartition("/")
    return topic, int(number) if number.isdecimal() else -1

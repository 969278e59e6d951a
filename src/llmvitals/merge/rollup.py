"""Closed panes into minutes, minutes into longer windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import SPARE, Panes
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch import scores
from llmvitals.window import MINUTE, ROLLUPS, duration_text, window_start

Contents = dict[tuple[str, int, bytes], Vitals]
"""(window's name, its start in µs, series) → what it holds now: of each, only the last."""

LONGER = {name: length for name, length in ROLLUPS.items() if length > MINUTE}


@dataclass(frozen=True, slots=True)
class Rollup:
    """pane_us: the pane's length, µs. contributors: how many of the heaviest a point shows.

    Law: a window's content is the sum of its panes, exact in everything but contributors, which are cut to
    `contributors × SPARE` a kind whenever a minute is complete: at the same points in every replay; and in
    names of scores, of which a series has scores.MOST in a day: those that came first.
    """

    pane_us: int
    contributors: int

    def take(self, bucket: Bucket, closed: dict[bytes, Panes], now: int) -> Contents:
        """Roll closed panes up, and the minutes that end by `now` (event time, µs); what changed."""
        changed: Contents = {}
        name = duration_text(self.pane_us)
        for key, panes in closed.items():
            for pane, vitals in panes:
                start = pane * self.pane_us
                if self.pane_us < MINUTE:
                    changed[name, start, key] = vitals
                minute = bucket.minutes.setdefault(window_start(start, MINUTE), {})
                minute.setdefault(key, []).append(vitals.pack())
        for start, key, whole in self._minutes(bucket, now):
            vitals = self._scored(bucket, start, key, whole)
            changed["1m", start, key] = vitals
            for longer in LONGER:
                self._add(bucket, longer, (start, key, vitals), changed)
        return changed

    def drop(self, bucket: Bucket, now: int) -> bool:
        """Forget the windows that are complete; whether there were any."""
        ended = [
            (name, start)
            for name, starts in bucket.windows.items()
            for start in starts
            if start + ROLLUPS[name] <= now
        ]
        for name, start in ended:
            del bucket.windows[name][start]
        return bool(ended)

    def _minutes(self, bucket: Bucket, now: int) -> Iterator[tuple[int, bytes, Vitals]]:
        """The minutes that are complete, in order."""
        for start in sorted(start for start in bucket.minutes if start + MINUTE <= now):
            for key, panes in bucket.minutes.pop(start).items():
                whole = merged([Vitals.unpack(pane) for pane in panes])
                yield start, key, self._cut(whole)

    def _scored(self, bucket: Bucket, start: int, key: bytes, vitals: Vitals) -> Vitals:
        """A minute with no more names of scores than its series may have in the day: each is a tag."""
        if not vitals.scores:
            return vitals
        day = bucket.windows.get("1d", {}).get(window_start(start, ROLLUPS["1d"]), {}).get(key)
        known = Vitals.unpack(day).scores if day else {}
        new = sorted(vitals.scores.keys() - known.keys())
        if len(known) + len(new) <= scores.MOST:
            return vitals
        kept = {*known, *new[: scores.MOST - len(known)]}
        return replace(vitals, scores={name: said for name, said in vitals.scores.items() if name in kept})

    def _add(self, bucket: Bucket, name: str, minute: tuple[int, bytes, Vitals], changed: Contents) -> None:
        start, key, vitals = minute
        start = window_start(start, ROLLUPS[name])
        window = bucket.windows.setdefault(name, {}).setdefault(start, {})
        had = window.get(key)
        if had is not None:
            vitals = self._cut(merged([Vitals.unpack(had), vitals]))
        window[key] = vitals.pack()
        changed[name, start, key] = vitals

    def _cut(self, vitals: Vitals) -> Vitals:
        return vitals.cut(self.contributors * SPARE) if vitals.contributors else vitals

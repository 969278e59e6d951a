"""Adds up closed panes to minutes, and minutes to longer windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import SPARE, Panes
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch import scores, top_k
from llmvitals.window import MINUTE, ROLLUPS, duration_text, window_start

Contents = dict[tuple[str, int, bytes], Vitals]
"""(name of the window, its start in µs, series) → its newest content."""

LONGER = {name: length for name, length in ROLLUPS.items() if length > MINUTE}


@dataclass(frozen=True, slots=True)
class Rollup:
    """Rolls up panes. pane_us: length of a pane, µs. contributors: how many a point shows.

    Law: the content of a window is the exact sum of its panes, late calls too, except for contributors, which
    are cut to `contributors × SPARE` for each kind, and the `contributors` heaviest of the newest minute,
    whenever a minute is complete (at the same points in every replay), and for scores, of which a series
    keeps the scores.MOST names that came first in a day.
    """

    pane_us: int
    contributors: int

    def take(self, bucket: Bucket, closed: dict[bytes, Panes], now: int) -> Contents:
        """Roll up closed panes, and the minutes that end by `now` (µs). Returns the changed windows."""
        changed: Contents = {}
        name = duration_text(self.pane_us)
        for key, panes in closed.items():
            for pane, apart in panes:
                vitals = apart.whole()
                start = pane * self.pane_us
                if self.pane_us < MINUTE:
                    changed[name, start, key] = vitals
                minute = bucket.minutes.setdefault(window_start(start, MINUTE), {})
                minute.setdefault(key, []).append(vitals.pack())
        for start, key, whole in self._minutes(bucket, now):
            vitals = self._limit_scores(bucket, start, key, whole)
            changed["1m", start, key] = vitals
            for longer in LONGER:
                self._add(bucket, longer, (start, key, vitals), changed)
        return changed

    def drop(self, bucket: Bucket, now: int) -> bool:
        """Drop the complete windows. Returns whether there were any."""
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
        """Remove and yield the complete minutes, in order."""
        for start in sorted(start for start in bucket.minutes if start + MINUTE <= now):
            for key, panes in bucket.minutes.pop(start).items():
                whole = merged([Vitals.unpack(pane) for pane in panes])
                yield start, key, self._cut(whole)

    def _limit_scores(self, bucket: Bucket, start: int, key: bytes, vitals: Vitals) -> Vitals:
        """Limit the names of scores that a series has in a day, because each name is a tag in the store."""
        if not vitals.scores:
            return vitals
        day = bucket.windows.get("1d", {}).get(window_start(start, ROLLUPS["1d"]), {}).get(key)
        known = Vitals.unpack(day).scores if day else {}
        new = sorted(vitals.scores.keys() - known.keys())
        if len(known) + len(new) <= scores.MOST:
            return vitals
        kept = {*known, *new[: scores.MOST - len(known)]}
        return replace(vitals, scores={name: score for name, score in vitals.scores.items() if name in kept})

    def _add(self, bucket: Bucket, name: str, minute: tuple[int, bytes, Vitals], changed: Contents) -> None:
        start, key, vitals = minute
        start = window_start(start, ROLLUPS[name])
        window = bucket.windows.setdefault(name, {}).setdefault(start, {})
        previous = window.get(key)
        if previous is not None:
            vitals = self._cut(merged([Vitals.unpack(previous), vitals]), newest=vitals)
        window[key] = vitals.pack()
        changed[name, start, key] = vitals

    def _cut(self, vitals: Vitals, newest: Vitals | None = None) -> Vitals:
        """Keep the heaviest contributors. newest: the minute that was added.

        Its heaviest stay as well: who spends steadily would else be cut every minute, as long as others
        have spent more before, and would never get to the top.
        """
        if not vitals.contributors:
            return vitals
        kept = top_k.cut(vitals.contributors, self.contributors * SPARE)
        for kind, shares in newest.contributors.items() if newest else ():
            known = vitals.contributors[kind]
            kept[kind] |= {name: known[name] for name, _ in top_k.heaviest(shares, self.contributors)}
        return replace(vitals, contributors=kept)

"""Open panes that rules look at again and again: each is unpacked once."""

from __future__ import annotations

from collections.abc import Iterable

from llmvitals.merge.bucket import Bucket, summed
from llmvitals.merge.plan import Panes
from llmvitals.record.vitals import Vitals

_Known = dict[int, tuple[tuple[int, ...], Vitals]]
"""Pane → the versions that it was summed from, and the sum."""


class OpenPaneCache:
    """What a series' open panes held when they were last looked at.

    While one source is far behind the others, panes stay open by the hundred; a frame changes few of them.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}

    def at(self, bucket: Bucket, key: bytes) -> Panes:
        """A series' open panes as far as they are counted."""
        had, now = self._known.get(key, {}), _Known()
        for pane in sorted(bucket.opened):
            slots = bucket.opened[pane].get(key)
            if slots is None:
                continue
            versions = tuple(version for version, _ in slots.values())
            known = had.get(pane)
            now[pane] = known if known and known[0] == versions else (versions, summed(slots))
        self._known[key] = now
        return [(pane, vitals) for pane, (_, vitals) in now.items()]

    def forget(self, keys: Iterable[bytes]) -> None:
        """Panes of these series have closed."""
        for key in keys:
            self._known.pop(key, None)

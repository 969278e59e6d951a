"""The calls under way of a framework that tells the beginning and the end of a call apart, by an id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from llmvitals.integrations.event import LABELS
from llmvitals.integrations.guard import warn
from llmvitals.integrations.observation import Observation

_MOST: Final = 10_000
_NAMES: Final = {
    "user_id": "user", "session_id": "session", "thread_id": "session", "conversation_id": "session",
    "tenant_id": "tenant", "prompt_id": "prompt_name",
}  # fmt: skip
"""What frameworks and their users call our labels in metadata."""


class Runs:
    """Id → observation. The oldest of 10,000 is forgotten: a framework may tell no end of a call."""

    def __init__(self) -> None:
        self._open: OrderedDict[Any, Observation] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, run: Any, observation: Observation) -> Observation:
        """Note that a call has begun."""
        with self._lock:
            self._open[run] = observation
            full = len(self._open) > _MOST
            if full:
                self._open.popitem(last=False)
        if full:
            warn(f"more than {_MOST:,} calls are under way: the oldest is forgotten.")
        return observation

    def get(self, run: Any) -> Observation | None:
        """The call of an id, if it is under way."""
        return self._open.get(run)

    def pop(self, run: Any) -> Observation | None:
        """The call of an id, which ends."""
        with self._lock:
            return self._open.pop(run, None)


def labels(metadata: Any) -> dict[str, Any]:
    """The labels in the metadata that an application gives to a framework: by our names, or by usual ones."""
    if not isinstance(metadata, dict):
        return {}
    found = {ours: metadata.get(name) for name, ours in _NAMES.items() if metadata.get(name)}
    found |= {name: metadata[name] for name in LABELS if metadata.get(name) and name != "tags"}
    return {name: str(value) for name, value in found.items()}

"""The score stage of one partition of the calls: turns calls with texts into evaluations."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import numpy as np

from llmvitals.errors import AFRESH, StateLost
from llmvitals.record.call import MODEL_OPERATIONS, Call, ended
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.log import Message, Record, Snapshot, Topic
from llmvitals.score.scorer_worker import ScorerWorker
from llmvitals.stage import Stage
from llmvitals.tracebacks import summary

if TYPE_CHECKING:
    from llmvitals.score.scorer_worker import Row

UNSCORED: Final = "unscored"
"""The error type of an evaluation whose text could not be scored."""

_SAME: Final = (
    "model", "requested_model", "provider", "environment", "app", "team", "tenant", "user", "session", "key",
    "agent", "prompt_name", "prompt_version", "tags",
)  # fmt: skip
_ID: Final = 128

SLICE: Final = 256
"""Records in one piece of work."""
_COUNTERS: Final = ("in", "scored", "unscored")


def wanted(call: Call, worker: ScorerWorker) -> str | None:
    """Return the text of a call that has to be scored, or None.

    None where there is no text, where the call has a score of this kind already, where the sample leaves it
    out, and where it is not a call of a model (its text would be scored twice).
    """
    text = call.input_text if worker.of == "input" else call.output_text
    if not text or call.operation not in MODEL_OPERATIONS or _given(call, worker):
        return None
    return text if _drawn(call.id, worker.setting.sample) else None


def event(call: Call, worker: ScorerWorker, row: Row | None, now: int) -> bytes:
    """Return the evaluation, as native JSON. row: the numbers, None: unscored; now: ms since 1970.

    Its time is now, or the call's end if that is later. Its id is the same however often the call is scored.
    """
    fields: dict[str, Any] = {name: getattr(call, name) for name in _SAME}
    fields |= {
        "id": _id(call, worker),
        "ts": max(now, -(-ended(call) // 1_000)),
        "operation": "evaluation",
        "target_id": call.id,
        "trace_id": call.trace_id or call.id,
    }
    return msgspec.json.encode({k: v for k, v in (fields | _said(worker, row)).items() if v is not None})


def _said(worker: ScorerWorker, row: Row | None) -> dict[str, Any]:
    if row is None:
        return {"status": "error", "error_type": UNSCORED}
    if worker.gives == "embedding":
        vector = base64.b64encode(row.astype(np.dtype("<f4")).tobytes()).decode()
        return {"embedding": {"model": worker.name, "vector": vector}}
    return {"toxicity": float(row)} if worker.gives == "toxicity" else {"scores": {worker.name: float(row)}}


def _given(call: Call, worker: ScorerWorker) -> bool:
    if worker.gives == "embedding":
        return call.embedding is not None
    if worker.gives == "score":
        return worker.name in (call.scores or {})
    return call.toxicity is not None or any(
        one.score is not None and 0 <= one.score <= 1 and "toxic" in one.name.lower()
        for one in call.guardrails or ()
    )


def _drawn(name: str, share: float) -> bool:
    if share >= 1:
        return True
    return int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest()) < share * 2**64


def _id(call: Call, worker: ScorerWorker) -> str:
    place = f"{worker.gives}/{worker.name}/{worker.of}"
    whole = f"{place}/{call.id}"
    if len(whole) <= _ID:
        return whole
    return f"{place}/{blake2b(call.id.encode(errors='replace'), digest_size=16).hexdigest()}"


class _Decoded(Protocol):
    @property
    def calls(self) -> Sequence[Call]: ...


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """The same for all partitions of a topic.

    workers: the scorers, opened. decode: bytes → calls, raising errors.BadCall. wall: ms since 1970.
    """

    workers: Sequence[ScorerWorker]
    decode: Callable[[bytes], _Decoded]
    max_record_bytes: int = 262_144
    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class _Manifest(msgspec.Struct):
    v: int
    offset: int
    counters: dict[str, int]


class Score(Stage):
    """Has the texts of calls scored, and sends evaluations; it skips records that can't be read.

    Its only state is the next offset: after a crash, calls since the last checkpoint are scored again under
    the same id. The runner runs its pieces in a thread, since they wait for the scorers.

    parts: its newest checkpoint, {} for none. beginning: the oldest offset that the log has.
    counters: in (calls read), scored, unscored (texts). Raises StateLost for a checkpoint that can't be read.
    """

    next: int
    counters: Counter[str]
    waits = True

    def __init__(self, plan: ScorePlan, *, parts: dict[str, bytes], beginning: int) -> None:
        saved = _restored(parts, beginning)
        self._plan = plan
        self.next = max(saved.offset, beginning)
        self.counters = Counter(dict.fromkeys(_COUNTERS, 0) | saved.counters)

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take records in; return the evaluations of the calls in them."""
        return list(chain.from_iterable(self.pieces(records)))

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        """Do the same in pieces of a fraction of a second, many of them without messages."""
        records = [record for record in records if record.offset >= self.next]
        for start in range(0, len(records), SLICE):
            some = records[start : start + SLICE]
            calls = [call for record in some for call in self._calls(record)]
            out: list[Message] = []
            for worker in self._plan.workers:
                out += yield from self._scored(calls, worker)
            self.counters["in"] += len(calls)
            self.next = some[-1].offset + 1
            yield out

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next offset and the counters."""
        del whole
        manifest = _Manifest(1, self.next, dict(self.counters))
        return Snapshot(self.next, {MANIFEST: msgspec.msgpack.encode(manifest)})

    def _calls(self, record: Record) -> Sequence[Call]:
        value = record.value or b""
        if len(value) <= self._plan.max_record_bytes:
            with suppress(Exception):  # combine sends a dead letter for it
                return self._plan.decode(value).calls
        return ()

    def _scored(
        self, calls: Sequence[Call], worker: ScorerWorker
    ) -> Generator[list[Any], None, list[Message]]:
        asked = [(call, text) for call in calls if (text := wanted(call, worker)) is not None]
        if not asked:
            return []
        rows = yield from worker.score([text for _, text in asked])
        now = self._plan.wall()
        unscored = sum(row is None for row in rows)
        self.counters["unscored"] += unscored
        self.counters["scored"] += len(rows) - unscored
        return [
            Message(Topic.SCORES, call.id.encode(errors="replace"), event(call, worker, row, now))
            for (call, _), row in zip(asked, rows, strict=True)
        ]


def _restored(parts: dict[str, bytes], beginning: int) -> _Manifest:
    if not parts:
        return _Manifest(1, beginning, {})
    try:
        return msgspec.msgpack.decode(parts[MANIFEST], type=_Manifest)
    except (KeyError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the checkpoint of score can't be read ({summary(error)}); to start afresh {AFRESH}"
        ) from error

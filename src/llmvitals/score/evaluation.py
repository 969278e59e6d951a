"""Turns the score of a call into the event that is counted: an evaluation, without any text."""

from __future__ import annotations

import base64
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.record.call import MODEL_OPERATIONS, Call, ended

if TYPE_CHECKING:
    from llmvitals.score.scorer_worker import Row, ScorerWorker

UNSCORED: Final = "unscored"
"""The error type of an evaluation whose text could not be scored."""

_SAME: Final = (
    "model", "requested_model", "provider", "environment", "app", "team", "tenant", "user", "session", "key",
    "agent", "prompt_name", "prompt_version", "tags",
)  # fmt: skip
_ID: Final = 128


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

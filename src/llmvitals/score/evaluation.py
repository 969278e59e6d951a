"""What a scorer said of a call → the event that is counted: an evaluation, without any text."""

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
"""The error type of an evaluation that says only that a text could not be scored."""

_SAME: Final = (
    "model", "requested_model", "provider", "environment", "app", "team", "tenant", "user", "session", "key",
    "agent", "prompt_name", "prompt_version", "tags",
)  # fmt: skip
_ID: Final = 128


def wanted(call: Call, worker: ScorerWorker) -> str | None:
    """The text of a call that a scorer is to be asked about.

    None where there is none, where the call brings already what the scorer gives, where it is left out by the
    sample, and for what is no call of a model (it would be the same text again).
    """
    text = call.input_text if worker.of == "input" else call.output_text
    if not text or call.operation not in MODEL_OPERATIONS or _given(call, worker):
        return None
    return text if _drawn(call.id, worker.setting.sample) else None


def event(call: Call, worker: ScorerWorker, row: Row | None, now: int) -> bytes:
    """The evaluation, as native JSON. row: what was said, None: unscored; now: ms since 1970.

    Its time is now, or the call's own should that be later. Its id is the same however often it is scored.
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

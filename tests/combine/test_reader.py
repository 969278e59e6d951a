"""Records are read the same whether or not there is a fast decoder, whatever lies between native calls."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from brute import START, event, plan
from llmvitals.combine import reader
from llmvitals.combine.reader import Batch, read
from llmvitals.ingest import decode
from llmvitals.record.log import Logged
from llmvitals.record.native import DECODER

OTHERS = (
    b"", b"{", b"[1]", b'{"id": "a"}',
    b'{"id": "b", "ts": 1760000000000, "model": "m", "unread": "\xff"}',
    b'{"id": "c", "ts": 1760000000000, "model": "m", "unread": "' + b"x" * 500 + b'"}',
)  # fmt: skip
"""Records that the fast decoder refuses, or would accept although they can't be read."""


def native(number: int, dice: random.Random) -> bytes:
    return msgspec.json.encode(event(number, START, user=dice.choice(["Zoë", "a"])))


def seen(batch: Batch) -> object:
    refused = sorted((place, error.code, error.item) for place, error in batch.refused)
    return [call.id for call in batch.calls], batch.at, refused, batch.filtered


@pytest.mark.parametrize("again", [1, 3, 20])
def test_what_is_read_does_not_depend_on_the_fast_decoder(
    monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    monkeypatch.setattr(reader, "_AGAIN", again)
    made = plan(decode=decode, native=DECODER.decode, max_record_bytes=400, max_batch_bytes=400)
    found = 0
    for seed in range(200):
        dice = random.Random(seed)
        share = dice.choice([0.0, 0.05, 0.5, 1.0])
        records = [
            Logged(place, 0, dice.choice(OTHERS) if dice.random() < share else native(place, dice))
            for place in range(dice.randrange(60))
        ]
        batch = read(records, made)
        assert seen(batch) == seen(read(records, replace(made, native=None)))
        assert len(batch.calls) + len(batch.refused) == len(records)
        found += len(batch.calls)
    assert found > 1_000

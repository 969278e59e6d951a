"""What must come out, computed the naive way: every call once, summed in dictionaries with Python's integers."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any
from zlib import crc32

from genai_prices import Usage, calc_price

from llmvitals.local.traffic import company

SECOND = 1_000_000
WINDOWS = {
    "10s": 10 * SECOND,
    "1m": 60 * SECOND,
    "5m": 300 * SECOND,
    "1h": 3_600 * SECOND,
    "1d": 86_400 * SECOND,
}
VIEWS = {
    "all": (),
    "team": ("team",),
    "app": ("app",),
    "app_model": ("app", "model"),
    "prompt": ("app", "prompt_name", "prompt_version"),
    "provider_model": ("provider", "model"),
    "environment": ("environment",),
}
FIELDS = (
    "calls", "errors", "late_calls", "duplicates", "unpriced_calls", "unknown_usage_calls", "cache_hits",
    "input_tokens", "cached_tokens", "output_tokens", "cost_nano",
)  # fmt: skip
POISON = (
    b"\xff\xfe not utf-8",
    b"{not json",
    b'{"id": "x", "ts": 1700000000000}',
    b'{"id": "x", "ts": 1700000000000, "model": "m", "input_tokens": -1}',
    b'{"id": "x", "ts": NaN, "model": "m"}',
    b'{"schema_version": 9, "id": "x", "ts": 1700000000000, "model": "m"}',
    b"[" * 100_000,
    b'{"id": "x", "ts": "2099-01-01T00:00:00Z", "model": "m"}',
    b'{"id": "x", "ts": 1700000000, "model": "m"}',
    b"null",
)
END_GAP = 180 * SECOND


def nano(call: dict[str, Any]) -> int | None:
    """Money of a call in nano-dollars by genai-prices itself; None where usage is unknown."""
    if "input_tokens" not in call:
        return None
    price = _price(
        call["model"],
        call["provider"],
        call["input_tokens"],
        call.get("cached_tokens", 0),
        call["output_tokens"],
    )
    return int((price * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


@cache
def _price(model: str, provider: str, tokens: int, cached: int, out: int) -> Decimal:
    usage = Usage(input_tokens=tokens, cache_read_tokens=cached, output_tokens=out)
    return calc_price(usage, model_ref=model, provider_id=provider).total_price


def added(call: dict[str, Any], *, first: bool) -> Counter[str]:
    """What a call adds to FIELDS; first: whether it is no copy."""
    if not first:
        return Counter(duplicates=1)
    cost = nano(call)
    return Counter(
        calls=1,
        errors=int(call.get("status") == "error"),
        unpriced_calls=int(cost is None and call.get("status") != "error"),
        unknown_usage_calls=int(cost is None),
        input_tokens=call.get("input_tokens", 0),
        cached_tokens=call.get("cached_tokens", 0),
        output_tokens=call.get("output_tokens", 0),
        cost_nano=cost or 0,
    )


class Logs:
    """What lies on each partition of the calls topic, and what must come of it.

    Calls of the Azure trace are keyed by session, out of order within 5 s, with 5 % sent twice and 1 % poison
    between them; each partition ends with one call far ahead, which closes everything before it.
    """

    def __init__(self, start: int, length: int, partitions: int = 4, seed: int = 1) -> None:
        dice = random.Random(seed)
        self.start, self.end = start, start + length
        calls = list(company(start, length, seed))
        self.unique = len(calls)
        logs: dict[int, list[tuple[float, dict[str, Any], bool]]] = defaultdict(list)
        for call in calls:
            at = call["ts"] + dice.uniform(0, 5_000)
            partition = crc32(call["session"].encode()) % partitions
            logs[partition].append((at, call, True))
            if dice.random() < 0.05:
                logs[partition].append((at + dice.uniform(0, 1_000), call, False))
        self.records: dict[int, list[bytes]] = {}
        self.poison: set[tuple[int, int]] = set()
        self.sums: dict[tuple[str, str, int, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
        self.duplicates = 0
        for partition in range(partitions):
            self.records[partition] = self._log(
                sorted(logs[partition], key=lambda item: item[0]), partition, dice
            )

    def _log(
        self, log: list[tuple[float, dict[str, Any], bool]], partition: int, dice: random.Random
    ) -> list[bytes]:
        out: list[bytes] = []
        for _, call, first in log:
            if dice.random() < 0.01:
                self.poison.add((partition, len(out)))
                out.append(dice.choice(POISON))
            out.append(json.dumps(call).encode())
            self._count(call, first)
        last = dict(log[-1][1], id=f"end-{partition}", ts=(self.end + END_GAP) // 1000, app="end")
        return [*out, json.dumps(last).encode()]

    def _count(self, call: dict[str, Any], first: bool) -> None:
        self.duplicates += not first
        fields = added(call, first=first)
        for view, by in VIEWS.items():
            for window, length in WINDOWS.items():
                time = call["ts"] * 1000
                key = (view, window, time - time % length, tuple(call[dim] for dim in by))
                self.sums[key].update(fields)

    @property
    def total(self) -> int:
        """How many records lie on the topic."""
        return sum(map(len, self.records.values()))

    def expected(self) -> dict[tuple[str, str, int, tuple[str, ...]], dict[str, int]]:
        """(view, window, start in µs, values of the view's dimensions) → all of FIELDS."""
        return {key: {name: sums[name] for name in FIELDS} for key, sums in self.sums.items()}

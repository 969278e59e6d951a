"""What a gateway may act on, as it lies on the compacted `llm.verdicts.v1`."""

from __future__ import annotations

from typing import Literal

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether calls of one budget's series shall go through. Key: `rule` and `series`, see `key`.

    series: the budget's dimensions and their values ({} : all calls). where: the filter of the rule as
    written, for people. since, until: µs; until: when the period ends and everybody begins afresh (None for
    a rolling budget). spent, limit, overshoot: dollars when metric is "cost", else tokens or calls.
    override: who lifted a block, if somebody did.
    """

    verdict: Literal["allow", "warn", "block"]
    rule: str
    series: dict[str, str]
    reason: str
    metric: str
    since: int
    until: int | None = None
    spent: float = 0.0
    limit: float = 0.0
    overshoot: float = 0.0
    override: str = ""

    @property
    def key(self) -> bytes:
        """Of the record: JSON, the rule and then the series, sorted."""
        return msgspec.json.encode([self.rule, sorted(self.series.items())])

    def encode(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Verdict:
        """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)

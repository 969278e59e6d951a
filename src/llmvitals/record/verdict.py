"""What a gateway may act on, as it lies on the compacted `llm.verdicts.v1`."""

from __future__ import annotations

from typing import Literal

import msgspec


class Clause(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one dimension of a call has to be: one of values (none: any), or what regex matches fully.

    negate: it must be none of that.
    """

    dimension: str
    values: tuple[str, ...] = ()
    regex: str | None = None
    negate: bool = False


class Gate(msgspec.Struct, frozen=True):
    """Which calls a verdict is about: those of this series (dimension → value) for which all clauses hold."""

    series: dict[str, str]
    where: tuple[Clause, ...] = ()


def verdict_key(rule: str, series: dict[str, str]) -> bytes:
    """The key of a verdict's record: JSON, the rule and then the series, sorted."""
    return msgspec.json.encode([rule, sorted(series.items())])


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether calls of one budget's series shall go through. Key: `rule` and `series`, see `key`.

    series, where: see Gate ({} and (): all calls). since, until: µs; since: when the spend came to what it
    says. until: when it ends by itself, because the period is over (None for a rolling budget), or what
    lifts it. spent, limit, overshoot: as of `at` (µs), the time of the calls; dollars when metric is "cost",
    else tokens or calls.
    override: who lifted it, if somebody did. A series without a record may call: what is over is deleted.
    """

    verdict: Literal["allow", "warn", "block"]
    rule: str
    series: dict[str, str]
    where: tuple[Clause, ...] = ()
    reason: str
    metric: str
    since: int
    until: int | None = None
    spent: float = 0.0
    limit: float = 0.0
    overshoot: float = 0.0
    override: str = ""
    at: int | None = None

    @property
    def key(self) -> bytes:
        """Of the record, see `verdict_key`."""
        return verdict_key(self.rule, self.series)

    def encode(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Verdict:
        """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)

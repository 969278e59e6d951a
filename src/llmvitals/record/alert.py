"""An alert's change of state, as it lies on `llm.alerts.v1`."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from llmvitals.record.matcher import Matcher
from llmvitals.record.verdict import Gate

Unit = Literal["usd", "ms", "share", "count", "tokens", "tokens_per_s", "per_s", "score"]
Bound = Literal["limit", "usual", "budget"]
"""What a limit is: a line that the value must not pass, what is usual, or a sum that is used up."""

_BOUNDS: Final[dict[str, Bound]] = {"budget": "budget", "regression": "usual"}
"""Kind → what the limit is, for alerts that were written before they said so."""
_REASON: Final = " (resolved: "
"""What stood between summary and reason in alerts that were written before `reason` was a field."""
_NAMED_LEVELS: Final = ("", "minor", "major")


class Heavy(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """One heavy contributor; cost in nano-dollars.

    kind: user, session, key, prompt or model; of an alert about errors "error": its name is "TYPE in APP",
    or the type alone where the app is unknown, and only its calls count.
    """

    kind: str
    name: str
    calls: int
    cost_nano: int
    tokens: int


class Outlook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a budget is heading for, as of the alert's `at`. Money in dollars, else tokens or calls.

    rate: the present spend as a multiple of an even one, with `window` in which it was measured. expected:
    the spend at the end of the period; low, high: its interval. exhausted: when the budget will be used up
    (µs), if that is before the period ends. chance: of overspending, 0 to 1. None: not known.
    """

    rate: float | None = None
    window: str = ""
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    exhausted: int | None = None
    chance: float | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alert. Times are event time in µs; money is in dollars when unit is `usd`.

    fingerprint: rule and series. episode: fingerprint and when it began: the same in every replay.
    group: the key on the topic. bound: what `limit` is, never "" once read. level: a budget's threshold
    ("80%"), an outage's "minor" or "major", else "". facet: what of its rule speaks: "" its condition, "burn"
    or "forecast" a budget's burn rate or forecast. note: what the detector adds, a sentence. cause: the
    root-cause line. ends: when a budget's period ends. verdict: of a budget that steers gateways, what its
    spend calls for: "warn" or "block". gate: of such a budget, firing or not, which calls the verdict is for.
    trend: how the value went, oldest first, [] where nobody knows. reason: why it was resolved, where that
    is not because the value is back below its limit ("too few calls"), else "". peak: the worst value since
    it began, never None once read. changed: when its status or level last changed; 0 in records before it was
    written, then `at` once read. update: only its values have moved since the record before; that is no
    change of its state. outlook: of a budget. unpriced: of the calls that a value in dollars is of, how many
    have no price, and how many there are; None where all are priced.
    text of people's calls is never in it: exemplars are trace ids (call ids where there is none).
    """

    rule: str
    kind: str
    status: Literal["firing", "resolved"]
    severity: str
    fingerprint: str
    episode: str
    group: str
    labels: dict[str, str]
    metric: str
    unit: Unit
    value: float
    limit: float
    level: str = ""
    window: str = ""
    since: int
    at: int
    until: int | None = None
    facet: str = ""
    note: str = ""
    cause: str = ""
    ends: int | None = None
    verdict: str = ""
    summary: str = ""
    annotations: dict[str, str] = {}
    notify: dict[str, str] = {}
    heaviest: list[Heavy] = []
    exemplars: list[str] = []
    trend: list[float] = []
    gate: Gate | None = None
    bound: Bound | Literal[""] = ""
    reason: str = ""
    peak: float | None = None
    changed: int = 0
    update: bool = False
    outlook: Outlook | None = None
    unpriced: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.bound:
            msgspec.structs.force_setattr(self, "bound", _BOUNDS.get(self.kind, "limit"))
        if not self.changed:
            msgspec.structs.force_setattr(self, "changed", self.at)
        if self.peak is None:
            msgspec.structs.force_setattr(self, "peak", self.value)
        if (
            self.status == "resolved"
            and not self.reason
            and self.summary.endswith(")")
            and _REASON in self.summary
        ):
            summary, _, reason = self.summary.partition(_REASON)
            msgspec.structs.force_setattr(self, "summary", summary)
            msgspec.structs.force_setattr(self, "reason", reason.removesuffix(")"))

    @property
    def height(self) -> float:
        """How high its level is among those of its rule: 80 for "80%", 14.4 for "14.4x", 2 for "major"."""
        if self.level in _NAMED_LEVELS:
            return _NAMED_LEVELS.index(self.level)
        try:
            return float(self.level.strip("% x"))
        except ValueError:
            return 0.0

    @property
    def worst(self) -> float:
        """The worst value since it began."""
        return self.value if self.peak is None else self.peak

    @property
    def period_ended(self) -> bool:
        """Whether it is over because the period of its budget is."""
        return self.status == "resolved" and self.ends is not None and self.at >= self.ends

    @property
    def overspent(self) -> float:
        """By how much the value of a budget exceeds its limit; 0 if it does not."""
        # Both are whole nano-dollars; their difference as a float may not be.
        return max(0.0, round(self.value - self.limit, 9)) if self.bound == "budget" else 0.0

    @property
    def channel(self) -> str:
        """The channel that its rule names, "" where it leaves that to the routes."""
        return self.notify.get("slack", "")

    @property
    def itself(self) -> tuple[Matcher, ...]:
        """Matchers for this rule and series, whatever its severity is at the time."""
        marks = {"rule": self.rule, **{k: v for k, v in self.labels.items() if k != "severity"}}
        return tuple(Matcher(name, "=", value) for name, value in marks.items())

    @property
    def marks(self) -> dict[str, str]:
        """What matchers see: the labels, and with them `rule`, `kind` and `severity`."""
        return {**self.labels, "rule": self.rule, "kind": self.kind, "severity": self.severity}

    def order(self) -> tuple[int, str, list[tuple[str, str]]]:
        """Where it belongs among others: by its time, and at one time by rule and labels."""
        return self.at, self.rule, sorted(self.labels.items())

    def encode(self) -> bytes:
        """JSON, fields in the order above."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Alert:
        """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)


def fingerprint(rule: str, labels: dict[str, str]) -> str:
    """16 hex digits that are the same for the same rule and series, on every machine."""
    text = "\0".join([rule, *(f"{k}\1{v}" for k, v in sorted(labels.items()))])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

"""What the newest records of the calls topics hold that is not counted, for `llmvitals doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llmvitals.combine.codes import clean
from llmvitals.errors import CURES, BadCall, Code
from llmvitals.ingest import decoder
from llmvitals.price import Prices, Reason
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.record.call import Call
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings

LISTED: Final = 5
"""Instrumentors, models and reasons that are named, the most frequent ones."""


@dataclass(slots=True)
class NewestEvents:
    """The newest records of the calls topics.

    prices: of the models. records, calls: how many. unread: instrumentor → spans that look like calls and
    that nothing reads. unpriced: provider and model → calls whose model has no known price. refused:
    reason → dead letters.
    """

    prices: Prices
    records: int = 0
    calls: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    unpriced: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, newest: Mapping[str, Sequence[Record]], settings: Settings) -> NewestEvents:
        """Read records. newest: topic → records. Raises ConfigError if the prices are wrong."""
        events = cls(Prices.of(settings))
        for topic, records in newest.items():
            decode = decoder(settings, settings.formats.get(topic))
            for record in records:
                events.records += 1
                try:
                    decoded = decode(record.value or b"", record.timestamp * 1_000)
                except BadCall as error:
                    events.refused[error.code.value] += 1
                    continue
                events.refused.update(error.code.value for error in decoded.refused)
                events.unread.update({clean(scope): number for scope, number in decoded.unread.items()})
                events.add(decoded.calls)
        return events

    def add(self, calls: Sequence[Call]) -> None:
        """Count calls, and those of models without a price."""
        self.calls += len(calls)
        for call in calls:
            if self.prices.assess(call)[1] is Reason.UNPRICED:
                self.unpriced[call.provider, call.model] += 1

    def troubles(self) -> Iterator[tuple[str, str]]:
        """What is not counted, or not priced, and what to do about it."""
        if self.unread:
            scopes = _listed({scope: f"{number:,}" for scope, number in self.unread.most_common()})
            yield (
                f"spans that look like calls and that nothing reads, by instrumentor: {scopes}",
                "report the instrumentor and the names of its attributes; see docs/integrations.md",
            )
        if self.unpriced:
            models = _listed({
                "/".join((clean(provider or "") or UNKNOWN, clean(model) or UNKNOWN)):
                f"{number:,}{_meant(self.prices.nearest(provider, model))}"
                for (provider, model), number in self.unpriced.most_common(LISTED)
            })  # fmt: skip
            more = len(self.unpriced) - LISTED
            yield (
                f"calls of models without a price: {models}{f', {more:,} more models' if more > 0 else ''}",
                "give the prices of models in LLMVITALS_PRICES, or send the name of a model that is listed",
            )
        if self.refused:
            codes = self.refused.most_common()
            reasons = _listed({code: f"{number:,}" for code, number in codes})
            cure = CURES[Code(codes[0][0])].rstrip(".")
            yield f"dead letters: {reasons}", f"{codes[0][0]}: {cure}"


def _listed(numbers: Mapping[str, str]) -> str:
    named = [f"{name} {number}" for name, number in list(numbers.items())[:LISTED]]
    return ", ".join(named + ([f"{len(numbers) - LISTED:,} more"] if len(numbers) > LISTED else []))


def _meant(nearest: str | None) -> str:
    return f" (nearest known: {nearest})" if nearest else ""

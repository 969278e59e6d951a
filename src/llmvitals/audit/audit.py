"""Checks past calls: whether they are complete, have their usage, and agree with what is billed."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from llmvitals.audit.exports import Amounts
from llmvitals.audit.past import Seen, day_of
from llmvitals.audit.plans import Plans
from llmvitals.audit.sequences import Sequences
from llmvitals.price import Reason, nano
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.audit.exports import Billed
    from llmvitals.price import Prices
    from llmvitals.record.call import Call

_REMEMBERED: Final = 10_000
_Key = tuple[str, str, str]
"""Provider, day, model; "" for the costs of all models."""
_NO_USAGE: Final = (Reason.UNKNOWN_USAGE, Reason.PARTIAL_USAGE)


@dataclass(slots=True)
class Given:
    """The calls of a model whose cost was given and is also known by list: nano-dollars of both."""

    model: str
    calls: int = 0
    given: int = 0
    computed: int = 0

    @property
    def deviation(self) -> float:
        """How far the given cost is from the computed one, as a share of that; 0 if both are 0."""
        return deviation(self.given, self.computed)


@dataclass(frozen=True, slots=True)
class Compared:
    """An amount that is billed and what the calls say. day: "" for all days. cost_nano is in nano-dollars."""

    provider: str
    day: str
    model: str
    measure: str
    billed: int
    counted: int

    @property
    def deviation(self) -> float:
        """How far the calls are from the bill, as a share of it."""
        return deviation(self.counted, self.billed)


class Audit:
    """Collects what an audit tells of calls.

    Only answers of models are looked at; a call that came twice counts once. doubled: ids that came again.
    copies: answers that a second instrumentor reported. without_usage: provider/model → successful calls
    whose tokens are not, or only by half, known. monthly: see `Plans`.
    """

    def __init__(self, prices: Prices, monthly: Mapping[str, float] = {}) -> None:
        self.calls = self.doubled = self.copies = 0
        self.doubled_ids: Counter[str] = Counter()
        self.without_usage: Counter[str] = Counter()
        self.sequences = Sequences()
        self.plans = Plans(monthly)
        self._prices = prices
        self._given: dict[str, Given] = {}
        self._names: dict[tuple[str | None, str], tuple[str, str]] = {}
        self._sums: defaultdict[_Key, Amounts] = defaultdict(Amounts)

    def take(self, call: Call, seen: Seen) -> None:
        """Add a call."""
        self.sequences.add(call.id)
        if seen is Seen.DOUBLED:
            self.doubled += 1
            self.doubled_ids[call.id] += 1
            return
        if seen is Seen.COPY:
            self.copies += 1
            return
        listed, listed_reason, _ = self._prices.listed(call)
        if listed_reason is Reason.NO_MODEL:
            return
        self.calls += 1
        self.plans.take(call, listed)
        name = f"{call.provider or UNKNOWN}/{call.model or UNKNOWN}"
        if call.status == "ok" and not call.cache_hit and listed_reason in _NO_USAGE:
            self.without_usage[name] += 1
        if call.cost_usd is not None and listed is not None and not call.cache_hit:
            row = self._given.setdefault(name, Given(name))
            row.calls += 1
            row.given += nano(call.cost_usd)
            row.computed += listed
        if not call.cache_hit:
            self._add(call)

    def _add(self, call: Call) -> None:
        provider, model = self._named(call.provider, call.model)
        cost, _, _ = self._prices.assess(call)
        amounts = Amounts(1, call.input_tokens, call.cached_tokens, call.output_tokens, cost)
        self._sums[provider, day_of(call), model].add(amounts)

    def given(self) -> list[Given]:
        """The models with given costs, those farthest from the list first."""
        return sorted(self._given.values(), key=lambda row: (-abs(row.given - row.computed), row.model))

    def compared(self, billed: Iterable[Billed], days: tuple[str, str] | None = None) -> list[Compared]:
        """Each billed amount beside that of the calls: tokens by day and model, costs by day.

        The sums of all days stand first. Calls of a model that is not billed on a day are compared with 0.
        days: the first and the last day that count; None: all of the bill.
        """
        theirs = self._theirs(one for one in billed if days is None or days[0] <= one.day <= days[1])
        rows = [row for key, amounts in sorted(theirs.items()) for row in self._rows(key, amounts)]
        totals: dict[tuple[str, str], list[int]] = {}
        for row in rows:
            sums = totals.setdefault((row.provider, row.measure), [0, 0])
            sums[0] += row.billed
            sums[1] += row.counted
        whole = [Compared(provider, "", "", measure, *sums) for (provider, measure), sums in totals.items()]
        return [*whole, *rows]

    def _theirs(self, billed: Iterable[Billed]) -> Mapping[_Key, Amounts]:
        theirs: defaultdict[_Key, Amounts] = defaultdict(Amounts)
        nothing: dict[tuple[str, str], Amounts] = {}
        for one in billed:
            if one.model:
                model = self._named(one.provider, one.model)[1]
                zeros = nothing.setdefault((one.provider, one.day), Amounts())
                for field in fields(zeros):
                    if getattr(one.amounts, field.name) is not None:
                        setattr(zeros, field.name, 0)
            else:
                model = ""
            theirs[one.provider, one.day, model].add(one.amounts)
        for key in self._sums:
            if key[:2] in nothing and key not in theirs:
                theirs[key].add(nothing[key[:2]])
        return theirs

    def _rows(self, key: _Key, billed: Amounts) -> Iterable[Compared]:
        ours = self._sums.get(key, Amounts())
        if not key[2]:
            ours = Amounts()
            for (provider, day, _), amounts in self._sums.items():
                if (provider, day) == key[:2]:
                    ours.add(amounts)
        for field in fields(billed):
            amount = getattr(billed, field.name)
            if amount is not None:
                yield Compared(*key, field.name, amount, getattr(ours, field.name) or 0)

    def _named(self, provider: str | None, model: str) -> tuple[str, str]:
        """The provider and the model by the names of their price list, under which a bill and calls meet."""
        known = self._names.get((provider, model))
        if known is None:
            listing = self._prices.find(provider, model)
            known = (listing.provider, listing.model.id.lower()) if listing and listing.provider else None
            known = known or ((provider or UNKNOWN).lower(), model.lower())
            if len(self._names) < _REMEMBERED:
                self._names[provider, model] = known
        return known


def deviation(value: int, reference: int) -> float:
    """How far a value is from a reference, as a share of that; infinite if only the reference is 0."""
    if reference:
        return value / reference - 1
    return float("inf") if value else 0.0

"""Puts the list price of the calls under flat-rate plans beside what the plans cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llmvitals.price import nano
from llmvitals.record.call import ended
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.call import Call

_MONTH: Final = 365 / 12
"""Days."""


@dataclass(slots=True)
class Plan:
    """The calls under a flat-rate plan.

    name: of the agent or app. monthly: what a user pays, in nano-dollars. users: those with a call. listed:
    the list price of the calls, in nano-dollars, without the `unpriced` ones, which have none. nameless:
    calls that do not tell their user.
    """

    name: str
    monthly: int
    calls: int = 0
    listed: int = 0
    unpriced: int = 0
    nameless: int = 0
    users: set[str] = field(default_factory=set)

    def cost(self, days: float) -> int:
        """What the users pay for so many days: a share of the monthly price, in nano-dollars."""
        return round(len(self.users) * self.monthly * days / _MONTH)


class Plans:
    """Collects the calls under flat-rate plans. monthly: agent or app → dollars a month for a user."""

    def __init__(self, monthly: Mapping[str, float]) -> None:
        self._plans = {_plain(name): Plan(name, nano(price)) for name, price in monthly.items()}
        self._first = self._last = 0

    def take(self, call: Call, listed: int | None) -> None:
        """Add a call of a model. listed: its list price, in nano-dollars; None if it has none."""
        time = ended(call)
        self._first, self._last = min(self._first or time, time), max(self._last, time)
        names = (_plain(name) for name in (call.agent, call.app) if name)
        plan = next((self._plans[name] for name in names if name in self._plans), None)
        if plan is None:
            return
        plan.calls += 1
        if call.user:
            plan.users.add(call.user)
        else:
            plan.nameless += 1
        if call.cache_hit:
            return
        plan.unpriced += listed is None
        plan.listed += listed or 0

    @property
    def days(self) -> float:
        """From the first to the last call of a model, also of one under no plan; at least a day."""
        return max((self._last - self._first) / DAY, 1.0)

    def found(self) -> list[Plan]:
        """The plans with calls, those with the highest list price first."""
        return sorted((plan for plan in self._plans.values() if plan.calls), key=lambda plan: -plan.listed)


def _plain(name: str) -> str:
    """A name that claude-code and claude_code share: the first is an app's name, the second an agent's."""
    return name.lower().replace("-", "_")

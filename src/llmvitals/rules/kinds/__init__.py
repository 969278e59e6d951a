"""The registry of the kinds of conditions. A new kind is a folder here and a line in this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.rules.kinds.absence.spec import Absence
from llmvitals.rules.kinds.budget.spec import Budget
from llmvitals.rules.kinds.canary.spec import Canary
from llmvitals.rules.kinds.change.spec import Change
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.rules.kinds.outage.spec import Outage
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.rules.kinds.runaway.spec import Runaway
from llmvitals.rules.kinds.threshold.spec import Threshold

if TYPE_CHECKING:
    from llmvitals.rules.condition.kind import Kind


def _by_key(*kinds: type[Kind]) -> dict[str, type[Kind]]:
    return {kind.kind: kind for kind in kinds}


KINDS: Final = _by_key(
    Budget,
    Threshold,
    Outage,
    Absence,
    Runaway,
    Regression,
    Change,
    Canary,
    Drift,
)
"""The key of a condition in a rule → its kind."""

"""The schema of each kind of condition: what its model accepts, in the words that people write."""

from __future__ import annotations

from llmvitals.ruleschema.absence import absence
from llmvitals.ruleschema.budget import budget
from llmvitals.ruleschema.canary import canary
from llmvitals.ruleschema.change import change
from llmvitals.ruleschema.drift import drift
from llmvitals.ruleschema.outage import outage
from llmvitals.ruleschema.parts import CONDITION, ZONE, Schema
from llmvitals.ruleschema.regression import regression
from llmvitals.ruleschema.runaway import runaway
from llmvitals.ruleschema.threshold import threshold

DEFINITIONS: Schema = {"condition": CONDITION, "zone": ZONE}
"""What the others refer to."""


def kinds() -> dict[str, Schema]:
    """Key of a kind → the schema of what stands under it."""
    return {
        "budget": budget(),
        "threshold": threshold(),
        "outage": outage(),
        "absence": absence(),
        "runaway": runaway(),
        "regression": regression(),
        "change": change(),
        "canary": canary(),
        "drift": drift(),
    }

"""The sums of two arms, minute by minute, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.canary import endpoints
from llmvitals.rules.kinds.canary.endpoints import EVENTS, MEANS, OF, RATES, SKETCHES
from llmvitals.sketch.scores import HARMFUL, MICRO
from llmvitals.stats import confseq, eprocess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.canary.arms import Pair

    Floats = NDArray[np.float64]

SCORES: Final = 16
"""The most scores that are compared: the first that both arms have."""

State = dict[str, Any]
"""canary, control, since (minute) · reference: metric → see endpoints.gather, until edges has it · open: the
sums of the minute that is under way, control first; open_scores · sums: those of all that are over · rates:
log-likelihoods (see eprocess), rows of RATES, as bytes · ratio: of each of RATES, numerator and denominator
of Mantel's and Haenszel's estimate · means: metric → confseq.State · scores: name → its place, confseq.State
(of how much worse the canary is: lower, or higher if HARMFUL), and each arm's count and sum · alarmed:
metrics, worst first."""


def begun(pair: Pair, minute: int) -> State:
    """The state of a new comparison; minute: the first one that counts."""
    return {
        "canary": pair.canary,
        "control": pair.control,
        "since": minute,
        "reference": {metric: {} for metric in SKETCHES},
        "edges": {},
        "open": [endpoints.no_counts(), endpoints.no_counts()],
        "open_scores": {},
        "sums": [endpoints.no_counts(), endpoints.no_counts()],
        "rates": eprocess.fresh(len(RATES)).tobytes(),
        "ratio": [[0.0] * len(RATES), [0.0] * len(RATES)],
        "means": {metric: list(confseq.State()) for metric in MEANS},
        "scores": {},
        "alarmed": [],
    }


def put(state: State, arms: Mapping[str, Vitals]) -> None:
    """Add a pane of the current minute."""
    for side, arm in enumerate((state["control"], state["canary"])):
        if (vitals := arms.get(arm)) is None:
            continue
        counted = endpoints.counted(vitals, state["edges"])
        state["open"][side] = _added(state["open"][side], counted)
        for name, (count, total, squares) in vitals.scores.items():
            entry = state["open_scores"].setdefault(name, [0] * 6)
            entry[3 * side : 3 * side + 3] = _added(entry[3 * side : 3 * side + 3], [count, total, squares])
        for metric, reference in state["reference"].items() if not side else ():
            endpoints.gather(reference, vitals, metric)


def close(state: State, null: float) -> None:
    """Close the minute; null: see eprocess.step."""
    control, canary = state["open"]
    if any(control) or any(canary):
        state["sums"] = [_added(*pair) for pair in zip(state["sums"], state["open"], strict=True)]
        _rates(state, np.array(state["open"], float), null)
        for metric, mean in MEANS.items():
            previous = state["means"][metric]
            state["means"][metric] = list(confseq.step(previous, mean.moments(control), mean.moments(canary)))
        for name in sorted(state["open_scores"]):
            _score(state["scores"], name, state["open_scores"][name])
        state["open"], state["open_scores"] = [endpoints.no_counts(), endpoints.no_counts()], {}
    for metric, reference in list(state["reference"].items()):
        if (edges := endpoints.fixed(reference)) is not None:
            state["edges"][metric] = edges
            del state["reference"][metric]


def rates(state: State) -> Floats:
    """The log-likelihoods (see eprocess), a row for each of RATES."""
    return np.frombuffer(state["rates"], float).reshape(len(RATES), -1)


def _rates(state: State, counted: Floats, null: float) -> None:
    calls = counted[:, OF]
    # More events than calls would be no valid share. This is a guard; no case is known.
    events = np.minimum(counted[:, EVENTS], calls)
    state["rates"] = eprocess.step(rates(state), calls, events, null).tobytes()
    both = np.where((calls > 0).all(axis=0), calls.sum(axis=0), np.inf)
    parts = np.stack((events[1] * calls[0], events[0] * calls[1])) / both
    state["ratio"] = (np.array(state["ratio"]) + parts).tolist()


def _score(scores: dict[str, Any], name: str, minute: list[int]) -> None:
    control, canary = ((entry[0], entry[1] / MICRO, entry[2] / MICRO) for entry in (minute[:3], minute[3:]))
    if name not in scores and (len(scores) >= SCORES or not control[0] or not canary[0]):
        return
    place, previous, sums = scores.setdefault(name, [len(scores) + 1, list(confseq.State()), [0] * 4])
    more = [minute[0], minute[1], minute[3], minute[4]]
    arms = (control, canary) if name in HARMFUL else (canary, control)
    scores[name] = [place, list(confseq.step(previous, *arms)), _added(sums, more)]


def _added(left: list[int], right: list[int]) -> list[int]:
    return [a + b for a, b in zip(left, right, strict=True)]

"""The sums of two arms, block by block, as plain data.

A block ends when both arms have FEW calls in it, or after as many minutes as the smaller arm has needed for
that (see block_minutes). So it depends on the numbers of calls, not on what they are like. What happens to
both arms, such as an outage, cancels only if each has the same share of the calls all through the block; so
it ends soon after a canary gets more of them. One without calls of both arms counts for nothing. Calls whose
cell has just failed have less weight (see recent): for rates, not for means.
"""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

import numpy as np

from llmvitals.rules.kinds.canary import block, endpoints
from llmvitals.rules.kinds.canary.block import Block
from llmvitals.rules.kinds.canary.endpoints import COMPARED, EVENTS, FIELD, MEANS, OF, RATES, SKETCHES
from llmvitals.sketch.cells import CELLS
from llmvitals.sketch.counters import LOG_UNIT
from llmvitals.sketch.scores import HARMFUL, MICRO
from llmvitals.stats import clusters, confseq, eprocess, recent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.canary.arms import Pair

    Floats = NDArray[np.float64]

FEW: Final = 10
LONGEST: Final = 60
"""The most minutes of a block."""
SCORES: Final = 16
"""The most scores that are compared: the first that both arms have."""
CLUSTERS: Final = ("user", "session", "trace", "minute")
"""How calls may be told apart. A trace is also a call without one; minutes are used for frames of an older
version, which have no cells."""
_STAY: Final = 0.5
"""From here on users stay in one arm rather than sessions (see clusters.Noise)."""

State = dict[str, Any]
"""canary, control, since (minute) · minutes: of the blocks that count · reference: metric → see
endpoints.gather, until edges has it · open: the block that is under way (see block) · sums: the counts of all
blocks that count, control first · ignored: the calls of the other blocks that are over · rates:
log-likelihoods (see eprocess), rows of RATES, as bytes · ratio: of each of RATES, numerator and denominator
of Mantel's and Haenszel's estimate · means: metric → confseq.State · tally: see clusters, rows of RATES and
MEANS · recent: see recent, rows of RATES · scores: name → its place, confseq.State (of how much worse the
canary is: lower, or higher if HARMFUL), and each arm's count and sum · score_tally: of scores by their place,
once there are any · clusters: the calls by CLUSTERS, then those that name user and session · alarmed:
metrics, worst first."""


class Noises(NamedTuple):
    """The noise of a comparison: φ of each of RATES, and the variances by clusters of MEANS and scores.

    events: of each of RATES, by weight. cluster: what the evidence is counted by: one of CLUSTERS.
    """

    phi: Floats
    events: Floats
    means: Mapping[str, float]
    scores: Mapping[str, float]
    cluster: str


def begun(pair: Pair, minute: int) -> State:
    """The state of a new comparison; minute: the first one that counts."""
    return {
        "canary": pair.canary,
        "control": pair.control,
        "since": minute,
        "minutes": 0,
        "reference": {metric: {} for metric in SKETCHES},
        "edges": {},
        "open": block.opened(minute),
        "sums": [endpoints.no_counts(), endpoints.no_counts()],
        "rates": eprocess.fresh(len(RATES)).tobytes(),
        "ratio": [[0.0] * len(RATES), [0.0] * len(RATES)],
        "means": {metric: list(confseq.State()) for metric in MEANS},
        "tally": list(clusters.Tally.empty(COMPARED)),
        "recent": list(recent.Recent.empty(len(RATES))),
        "scores": {},
        "clusters": [0] * (len(CLUSTERS) + 1),
        "alarmed": [],
    }


def current(state: State | None) -> TypeGuard[State]:
    """Whether there is a state and it is of this version: earlier ones had no weights, and begin anew."""
    return state is not None and "recent" in state


def put(state: State, arms: Mapping[str, Vitals], minute: int) -> None:
    """Add a pane of the current minute."""
    for side, arm in enumerate((state["control"], state["canary"])):
        if (vitals := arms.get(arm)) is None:
            continue
        block.put(state["open"], side, vitals, minute)
        for metric, reference in state["reference"].items() if not side else ():
            endpoints.gather(reference, vitals, metric)


def close(state: State, now: int, null: float) -> bool:
    """Close a minute, and the block if it is over, which is returned; null: see eprocess.step."""
    held, totals = state["open"], [counts[FIELD["calls"]] for counts in state["sums"]]
    state["recent"] = block.weigh(held, state["edges"], state["recent"], now)
    calls, age = [sums[FIELD["calls"]] for sums in held["sums"]], now + 1 - held["began"]
    if age < block_minutes(state["minutes"], min(totals)) and min(calls) < FEW:
        block.compact_scores(held)
        return False
    if min(calls):
        state["minutes"] += age
        _add_block(state, held, null)
    else:
        state["ignored"] = state.get("ignored", 0) + max(calls)
    state["open"] = block.opened(now + 1)
    for metric, reference in list(state["reference"].items()):
        if (edges := endpoints.fixed(reference)) is not None:
            state["edges"][metric] = edges
            del state["reference"][metric]
    return True


def block_minutes(minutes: int, calls: int) -> int:
    """The most minutes of the next block. minutes: of those before it; calls: of the smaller arm in them.

    >>> block_minutes(0, 0), block_minutes(60, 300), block_minutes(600, 100)
    (60, 2, 60)
    """
    return max(1, min(LONGEST, FEW * minutes // calls)) if calls else LONGEST


def rates(state: State) -> Floats:
    """The log-likelihoods (see eprocess), a row for each of RATES."""
    return np.frombuffer(state["rates"], float).reshape(len(RATES), -1)


def noises(state: State, null: float, alphas: Floats, of_scores: float) -> Noises:
    """The noise so far; null: of the rule; alphas: of the rows of COMPARED; of_scores: alpha of a score."""
    found = clusters.noise(state["tally"], endpoints.tally_rows(null), alphas)
    means = (found.clustered[len(RATES) :] * LOG_UNIT**2).tolist()
    scores = {}
    if "score_tally" in state:
        held = clusters.noise(state["score_tally"], _score_rows(len(state["scores"])), of_scores).clustered
        variances = (held / MICRO**2).tolist()
        scores = {name: variances[score[0] - 1] for name, score in state["scores"].items()}
    named = _cluster(state["clusters"], by_user=found.stay[0] > _STAY)
    rates_only = slice(len(RATES))
    return Noises(
        found.phi[rates_only], found.events[rates_only], dict(zip(MEANS, means, strict=True)), scores, named
    )


def _cluster(told: Sequence[int], *, by_user: bool) -> str:
    """How most calls were told apart. told: see State. by_user: how those that name user and session were."""
    *calls, both = told
    calls[not by_user] += both
    return CLUSTERS[calls.index(max(calls))]


def _add_block(state: State, opened: Block, null: float) -> None:
    (n, k), totals = block.weighed(opened), block.totals(opened)
    control, canary = (
        endpoints.counted(sums, totals[0, side], totals[1, side]) for side, sums in enumerate(opened["sums"])
    )
    state["sums"] = [list(map(add, *pair)) for pair in zip(state["sums"], (control, canary), strict=True)]
    _rates(state, np.array((control, canary), float))
    calls, events = (each[:, : len(RATES)].sum(axis=2) for each in (n, k))
    state["rates"] = eprocess.step(rates(state), calls, events, null).tobytes()
    for metric, mean in MEANS.items():
        previous = state["means"][metric]
        state["means"][metric] = list(confseq.step(previous, mean.moments(control), mean.moments(canary)))
    state["tally"] = list(clusters.step(state["tally"], endpoints.tally_rows(null), n, k))
    user, session, both = opened["named"]
    others = control[FIELD["calls"]] + canary[FIELD["calls"]] - sum(opened["named"]) - opened["minute"]
    told = user, session, others, opened["minute"], both
    state["clusters"] = list(map(add, state["clusters"], told))
    for name in sorted(opened["scores"]):
        _score(state, name, opened["scores"][name])
    _step_scores(state, opened["scores"])


def _rates(state: State, counted: Floats) -> None:
    """Add a block to Mantel's and Haenszel's estimates."""
    calls = counted[:, OF]
    # More events than calls would be no valid share. This is a guard; no case is known.
    events = np.minimum(counted[:, EVENTS], calls)
    both = np.where((calls > 0).all(axis=0), calls.sum(axis=0), np.inf)
    parts = np.stack((events[1] * calls[0], events[0] * calls[1])) / both
    state["ratio"] = (np.array(state["ratio"]) + parts).tolist()


def _score(state: State, name: str, opened: list[Any]) -> None:
    scores, counts = state["scores"], opened[0]
    control, canary = ((entry[0], entry[1] / MICRO, entry[2] / MICRO) for entry in (counts[:3], counts[3:]))
    if name not in scores and (len(scores) >= SCORES or not control[0] or not canary[0]):
        return
    place, previous, sums = scores.setdefault(name, [len(scores) + 1, list(confseq.State()), [0] * 4])
    more = [counts[0], counts[1], counts[3], counts[4]]
    arms = (control, canary) if name in HARMFUL else (canary, control)
    scores[name] = [place, list(confseq.step(previous, *arms)), list(map(add, sums, more))]


def _score_rows(scores: int) -> clusters.Rows:
    return clusters.Rows(np.ones(scores), np.zeros(scores))


def _step_scores(state: State, opened: State) -> None:
    """Add the cells of a block's scores to their tally."""
    count = len(state["scores"])
    compared = [name for name in opened if name in state["scores"]]
    if not compared:
        return
    found = np.zeros((count, 2 * 2 * CELLS))
    for name in compared:
        keys, values = block.cells(opened[name][1:], 2 * CELLS)
        found[state["scores"][name][0] - 1] = np.bincount(keys, values, 2 * 2 * CELLS)
    tally = clusters.grown(state.get("score_tally", clusters.Tally.empty(0)), count)
    by_arm = found.reshape(count, 2, 2, CELLS).transpose(1, 2, 0, 3)
    state["score_tally"] = list(clusters.step(tally, _score_rows(count), by_arm[:, 0], by_arm[:, 1]))

"""The note of a canary alert: what is worse, and what a full roll-out would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount
from llmvitals.rules.kinds.canary import comparison
from llmvitals.rules.kinds.canary.endpoints import FIELD, ROWS
from llmvitals.rules.kinds.canary.findings import LEVEL, SCORE
from llmvitals.stats import confseq, eprocess
from llmvitals.window import DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.canary.comparison import Noises, State
    from llmvitals.rules.kinds.canary.findings import Finding

_OFTEN: Final = {
    "errors": "fails",
    "toxicity": "is toxic",
    "refusals": "refuses",
    "guardrail_blocks": "is blocked by a guardrail",
    "latency": "takes longer than {edge}",
    "ttft": "takes longer than {edge} to its first token",
    "cost": "costs money",
}
"""Metric → the event that happens more often."""
_MUCH: Final = {
    "cost": "costs {times} as much a call as {control}",
    "input_tokens": "reads {times} as many tokens a call as {control}",
    "output_tokens": "writes {times} as many tokens a call as {control}",
}
_NOUNS: Final = {"prompt_version": "prompt", "requested_model": "model", "prompt_name": "prompt"}
MONTH: Final = 30
_ROLLED: Final = 20
"""The calls of known cost that each arm needs before its mean is extrapolated."""


def sentence(on: str, state: State, found: Sequence[Finding], *, cluster: str, money: str) -> str:
    """The note.

    found: the worse metrics, the strongest evidence first. cluster: what it is counted by. money: see
    `rollout`.
    """
    first, *rest = found
    noun = _NOUNS.get(on, on.removeprefix("tags.").replace("_", " "))
    text = f"{noun} {state['canary']} {_verb(first, state['control'])}"
    if rest:
        text += "; also worse: " + ", ".join(map(_short, rest))
    text += f"; evidence counted by {cluster}"
    return f"{text}. {money}" if money else text


def rollout(state: State, minute: int, noises: Noises) -> str:
    """The cost a month if all calls of both arms go to the canary; minute: the last complete one.

    It names an amount only if the limits of the cost per call, or of the share of calls with a cost, exclude
    that there is no difference.
    """
    control, canary = state["sums"]
    cost, priced, calls = FIELD["cost_nano"], FIELD["priced_calls"], FIELD["calls"]
    if min(control[priced], canary[priced]) < _ROLLED:
        return ""
    if not _differs(state, noises):
        return "No difference in cost is detected yet"
    more = canary[cost] / canary[priced] - control[cost] / control[priced]
    days = (minute + 1 - state["since"]) * MINUTE / DAY
    month = more * (control[calls] + canary[calls] + state.get("ignored", 0)) / days * MONTH / 1e9
    if abs(month) < 1:
        return "It costs the same at full roll-out"
    word = "more" if month > 0 else "less"
    return f"About {amount(_rounded(abs(month)), 'usd')} a month {word} at full roll-out"


def times(ratio: float) -> str:
    """Format a ratio.

    >>> times(2.083), times(1.042), times(23.4)
    ('2.1×', '1.04×', '23×')
    """
    digits = 3 if 0.8 < ratio < 1.2 else 2
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.{digits}g}×"


def _differs(state: State, noises: Noises) -> bool:
    """Whether the cost per call of the arms differs."""
    cost, (row,) = confseq.State(*state["means"]["cost"]), ROWS["cost"]
    low, high = confseq.limits(cost, LEVEL, clustered=noises.means["cost"])
    least, most = eprocess.limits(comparison.rates(state)[row] / noises.phi[row], LEVEL)
    return (low or 0) > 0 or (high or 0) < 0 or (least or 1) > 1 or (most or 1) < 1


def _verb(found: Finding, control: str) -> str:
    if found.kind == "score":
        name, side = found.metric.removeprefix(SCORE), "higher" if found.harmful else "lower"
        least = "" if found.least is None or found.least <= 0 else f"; at least {found.least:.2g} {side}"
        return f"scores {found.value:.3g} for {name}, {control} {found.other:.3g} ({_calls(found)}{least})"
    unit = {"mean": "usd"}.get(found.kind, "share") if found.metric == "cost" else found.kind
    least = "" if found.least is None or found.least <= 1 else f"; at least {times(found.least)}"
    if found.kind == "mean":
        value, other = (
            amount(entry, "usd") if unit == "usd" else f"{entry:,.0f}" for entry in (found.value, found.other)
        )
        does = _MUCH[found.metric].format(times=times(found.effect or 1), control=control)
        return f"{does} ({value} on {found.calls:,} calls against {other} on {found.others:,}{least})"
    does = _OFTEN[found.metric].format(edge=amount(found.edge or 0, "ms"))
    often = f"{times(found.effect)} as often as" if found.effect is not None else "more often than"
    shares = f"{amount(found.value, 'share')} of {found.calls:,} calls against {_other(found)}"
    return f"{does} {often} {control} ({shares}{least})"


def _other(found: Finding) -> str:
    return (
        f"{amount(found.other, 'share')} of {found.others:,}" if found.other else f"none of {found.others:,}"
    )


def _calls(found: Finding) -> str:
    return f"{found.calls:,} scores against {found.others:,}"


def _short(found: Finding) -> str:
    name = found.metric.removeprefix(SCORE).replace("_", " ")
    if found.kind == "score":
        return f"{name} ({found.value - found.other:+.2g})"
    return f"{name} ({times(found.effect)})" if found.effect is not None else name


def _rounded(dollars: float) -> float:
    """Round an estimate to three digits."""
    return float(f"{dollars:.3g}")

"""Compares a canary with its control minute by minute, and fires if the canary is worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.metrics.columns import GREATEST
from llmvitals.record.reading import Deferred, Reading, Stand
from llmvitals.rules.condition import minute
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.canary import arms, comparison
from llmvitals.rules.kinds.canary.arms import BEGINNING, FORGOTTEN, GONE, Pair
from llmvitals.rules.kinds.canary.hypotheses import Look
from llmvitals.rules.kinds.canary.sentences import rollout, sentence
from llmvitals.window import FOREVER, MINUTE

if TYPE_CHECKING:
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.canary.findings import Finding
    from llmvitals.rules.kinds.canary.hypotheses import Hypotheses

EVERY: Final = 5
"""Minutes between points; there are also points when an alert begins."""


class Values(Protocol):
    """The fields of a rule that the detector reads."""

    @property
    def on(self) -> str: ...
    @property
    def canary(self) -> str | None: ...
    @property
    def control(self) -> str | None: ...
    @property
    def effect(self) -> float: ...


@dataclass(frozen=True, slots=True)
class CanaryDetector(Detector):
    """The logic for one series, whose panes have `arms`; pane in µs.

    The arms are selected at the end of a minute, and compared from the next one on.
    State: "now" (the minute under way) and "calls" (its, by arm), both only while there are any; "before"
    (calls until then, at most BEGINNING); "newest" and "back" (see arms.note); "arms" (see arms.Known);
    "full" (when the last of these was dropped for their number); "pair" (see comparison.State).
    """

    rule: Values
    pane: int
    hypotheses: Hypotheses

    @property
    def shape(self) -> str:
        """What the state depends on."""
        rule = self.rule
        return f"canary {rule.on} {rule.control} {rule.canary} {rule.effect} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        here, readings = pane * self.pane // MINUTE, list[Reading]()
        if state.get("now", here) < here:
            readings += self._over(state, state["now"])
        if vitals is not None and vitals.arms:
            state["now"] = here
            calls = state.setdefault("calls", {})
            for name, arm in vitals.arms.items():
                if called := arm.total("calls"):  # a minute with late duplicates only has no calls
                    calls[name] = calls.get(name, 0) + called
            if comparison.current(state.get("pair")):
                comparison.put(state["pair"], vitals.arms, here)
        if minute.ends(pane, self.pane) and ("now" in state or self._due(state) == here):
            readings += self._over(state, here)
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at whose end something may change without a call; FOREVER: none."""
        when = state.get("now", self._due(state))
        return FOREVER if when is None else minute.end(when, self.pane)

    def _due(self, state: dict[str, Any]) -> int | None:
        """The minute at whose end all values are forgotten without a call; None: there is none."""
        return _newest(state) + GONE if state.get("arms") else None

    def _over(self, state: dict[str, Any], now: int) -> list[Reading]:
        """Close a minute."""
        calls = state.pop("calls", {})
        state.pop("now", None)
        pair, known = state.get("pair"), state.setdefault("arms", {})
        news = comparison.current(pair) and comparison.close(pair, now, 1 + self.rule.effect)
        if calls:
            if now - _newest(state) >= FORGOTTEN:
                state["back"] = now
            state["newest"] = now
        since = {"newest": _newest(state), "back": state.get("back", 0)}
        unsure = now - state.get("full", -FORGOTTEN) < FORGOTTEN
        arms.note(known, now, calls, before=0 if unsure else state.get("before", 0), **since)
        if arms.limit_known(known, (pair["canary"], pair["control"]) if pair else ()):
            state["full"] = now
        state["before"] = min(state.get("before", 0) + sum(calls.values()), BEGINNING)
        readings = self._compared(state, now, news=news)
        if not known:
            state.clear()
        return readings

    def _compared(self, state: dict[str, Any], now: int, *, news: bool) -> list[Reading]:
        """What a minute has brought; news: whether a block ended with it."""
        known, pair = state["arms"], state.get("pair")
        found = arms.pair(known, self.rule.canary, self.rule.control)
        readings = []
        why = arms.ending(known, Pair(pair["canary"], pair["control"]), found) if pair else ""
        if pair and not comparison.current(pair):
            why = why or f"{pair['canary']} is compared anew: calls that fail together now count less"
        if pair and why:
            if pair["alarmed"]:
                readings.append(self._reading(pair, now)._replace(verdict="none", note=why))
            if pair["canary"] in known and pair["control"] not in known:
                known[pair["canary"]][2] = 0
            del state["pair"]
            found = arms.pair(known, self.rule.canary, self.rule.control)
        elif pair:
            readings.append(self._evaluated(pair, now, news=news))
        if "pair" not in state and found:
            state["pair"] = comparison.begun(found, now + 1)
        return readings

    def _evaluated(self, pair: comparison.State, now: int, *, news: bool) -> Reading:
        """The reading at the end of a minute."""
        due, look = not (now + 1) % EVERY, Look(self.hypotheses, pair)
        fresh = look.fresh if (due or news) and self.hypotheses.suspects(pair) else []
        pair["alarmed"] += fresh
        reading = self._reading(pair, now)
        if pair["alarmed"]:
            reading = reading._replace(verdict="hold")
        if fresh or due:
            reading = reading._replace(stands=Deferred(partial(self._stands, pair, reading.at, look)))
        if fresh:
            told = [look.findings[metric] for metric in pair["alarmed"] if metric in look.findings]
            reading = self._report(pair, reading, told, look.noises)
        return reading

    def _reading(self, pair: comparison.State, now: int) -> Reading:
        since = pair["since"] * MINUTE
        return Reading(
            (now + 1) * MINUTE, "clear", pair.get("worst", 1.0), 1 + self.rule.effect, begin=f"{since}"
        )

    def _report(
        self, pair: comparison.State, reading: Reading, found: list[Finding], noises: comparison.Noises
    ) -> Reading:
        if not found:
            return reading
        minute_over = reading.at // MINUTE - 1
        pair["worst"] = found[0].worse or reading.limit
        return reading._replace(
            verdict="breach",
            value=pair["worst"],
            level=f"{len(found)} metrics" if len(found) > 1 else "",
            note=sentence(
                self.rule.on, pair, found, cluster=noises.cluster, money=rollout(pair, minute_over, noises)
            ),
        )

    def _stands(self, pair: comparison.State, at: int, look: Look) -> list[Stand]:
        cluster = look.noises.cluster
        return [self._stand(pair, at, each, cluster=cluster) for each in look.findings.values()]

    def _stand(self, pair: comparison.State, at: int, found: Finding, *, cluster: str) -> Stand:
        measures = {
            "log10_e": found.log_e / math.log(10),
            "log10_limit": self.hypotheses.bar / math.log(10),
            "arm_value": found.value,
            "control_value": found.other,
            "effect": found.effect,
            "effect_low": found.low,
            "effect_high": found.high,
            "overdispersion": found.phi,
            "visible_day": _shown(found.day),
            "visible_week": _shown(found.week),
        }
        return Stand(
            at,
            {name: value for name, value in measures.items() if value is not None and math.isfinite(value)},
            {"arm_calls": found.calls, "control_calls": found.others},
            {"metric": found.metric, "arm": pair["canary"], "control": pair["control"]},
            {"cluster": cluster},
        )


def _newest(state: dict[str, Any]) -> int:
    """The last minute with calls; states of older versions know it of the values only. 0: there is none."""
    newest: int = state.get("newest") or max((arm[1] for arm in state.get("arms", {}).values()), default=0)
    return newest


def _shown(effect: float | None) -> float | None:
    """An effect that can be seen, as points have it: GREATEST stands for that and more."""
    return None if effect is None else min(effect, GREATEST)

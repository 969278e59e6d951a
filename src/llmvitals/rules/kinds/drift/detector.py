"""Compares the embeddings of each minute of a series with the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.record.reading import Reading, Stand
from llmvitals.rules.condition import minute
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.condition.false_alarms import run_length
from llmvitals.rules.kinds.drift import heads, notes, pool, spaces, visible
from llmvitals.rules.kinds.drift.calls import RECENT, recent
from llmvitals.rules.kinds.drift.reference import Reference, unpacked
from llmvitals.rules.kinds.drift.step import Step
from llmvitals.rules.kinds.drift.training import Learner
from llmvitals.window import FOREVER, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.sketch.moments import Meaning

RELEASE: Final = 0.7
"""The share of the limit below which an alert resolves."""


class Embeddings(Protocol):
    """The fields of a rule that the detector reads; learn: µs."""

    @property
    def model(self) -> str: ...
    @property
    def learn(self) -> int: ...
    @property
    def min_calls(self) -> int: ...
    @property
    def false_alarms(self) -> float: ...
    @property
    def series(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class DriftDetector(Detector):
    """Reads each minute, or as many minutes as have min_calls together, after it has learned a reference.

    State: that of `pool`; "space": the embedding space that it reads; "learning": see Learner; then
    "reference" (bytes), "recent" (see calls), the state of `heads`, and "hushed": the greatest score that the
    heads had which are silent at this hour; "heard": event time (µs) of the last vector; "others": see
    spaces; "silent": no vector for an hour; "said": the present verdict, value, limit and note. patient: see
    Learner.
    """

    rule: Embeddings
    pane: int
    patient: bool = True

    @property
    def shape(self) -> str:
        """What the state depends on."""
        rule = self.rule
        return f"drift {rule.learn} {rule.min_calls} {rule.model} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane. The last reading is repeated until a step makes another one."""
        readings = self._take(state, pane, vitals)
        if state:
            _pack(state)
        return readings

    def take_until_breach(
        self, state: dict[str, Any], closed: Sequence[tuple[int, Vitals]]
    ) -> tuple[int, list[Reading]]:
        """Read panes; those without embeddings only repeat what was said, and no state is packed between."""
        count, readings = 0, list[Reading]()
        if state.get("said", ("",))[0] != "breach":
            count, readings = self._take_many(state, closed)
        _pack(state)
        return count, readings

    def _take_many(
        self, state: dict[str, Any], closed: Sequence[tuple[int, Vitals]]
    ) -> tuple[int, list[Reading]]:
        due = self.wakes(state)
        for count, (pane, vitals) in enumerate(closed):
            while due < pane:
                readings = self._take(state, due, None, stands=False)
                if _is_breach(readings):
                    return count, readings
                due = self.wakes(state)
            meaning = vitals.meaning
            if not meaning:
                continue
            if spaces.only(state, meaning) and not minute.ends(pane, self.pane):
                self._hear(state, pane, meaning)
                due = state["wake"]  # the end of this minute: nothing else happens so soon
                continue
            readings = self._take(state, pane, vitals, stands=False)
            if _is_breach(readings):
                return count + 1, readings
            due = self.wakes(state)
        return len(closed), []

    def _take(
        self, state: dict[str, Any], pane: int, vitals: Vitals | None, *, stands: bool = True
    ) -> list[Reading]:
        """Read a closed pane; the state is plain data after `_pack`."""
        at, readings = (pane + 1) * self.pane, []
        if vitals is not None and vitals.meaning:
            readings = self._add_embeddings(state, pane, vitals.meaning)
        if step := pool.step(state, pane, self.pane, self.rule.min_calls):
            readings = [*readings, self._step(state, *step, stands=stands)]
        elif at >= self._stale(state):
            state["silent"] = True
            state.pop("memories", None)
            counts = state["others"]["counts"] if "others" in state else {}
            found = spaces.most(counts, state["space"])
            other = f"; they now come from {found}" if found else ""
            readings = [self._none(at, f"no embeddings from {state['space']} for an hour{other}")]
        elif not readings and "said" in state:
            verdict, value, limit, note = state["said"]
            return [Reading(at, verdict, value, limit, note=note)]
        if readings:
            last = readings[-1]
            state["said"] = [last.verdict, last.value, last.limit, last.note]
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane that ends a minute, or an hour without embeddings; FOREVER for neither."""
        stale = self._stale(state)
        return min(pool.wakes(state), FOREVER if stale == FOREVER else -(-stale // self.pane) - 1)

    def _add_embeddings(self, state: dict[str, Any], pane: int, meaning: Meaning) -> list[Reading]:
        ours = {space: moments for space, moments in meaning.items() if self._wanted(state, space)}
        if ours:
            self._hear(state, pane, ours)
        if "space" not in state:
            return []
        at = (pane + 1) * self.pane
        found = spaces.count(state, meaning, pane * self.pane, at)
        if found is None or not self._allowed(found):
            return []
        state.clear()
        self._hear(state, pane, {space: moments for space, moments in meaning.items() if space == found})
        return [self._none(at, f"most embeddings have come from {found} for a day: learning a new reference")]

    def _hear(self, state: dict[str, Any], pane: int, ours: Meaning) -> None:
        pool.add(state, ours, pane, self.pane)
        state["heard"] = (pane + 1) * self.pane
        state.pop("silent", None)

    def _none(self, at: int, note: str) -> Reading:
        return Reading(at, "none", 0, self.rule.min_calls, note=note)

    def _wanted(self, state: dict[str, Any], space: str) -> bool:
        if "space" in state:
            return bool(space == state["space"])
        return self._allowed(space)

    def _allowed(self, space: str) -> bool:
        return self.rule.model in ("", space, space.rpartition("/")[0])

    def _stale(self, state: dict[str, Any]) -> int:
        """When to report an hour without embeddings (µs); FOREVER: never."""
        if "reference" not in state or "silent" in state:
            return FOREVER
        heard: int = state["heard"]
        return heard + HOUR

    def _step(self, state: dict[str, Any], space: str, step: Step, *, stands: bool) -> Reading:
        state["space"] = space
        if "reference" in state:
            return self._evaluated(state, unpacked(state["reference"]), step, stands=stands)
        learning, note = state.setdefault("learning", {}), "learning"
        if learning and "learned" not in learning:
            learning.clear()
            note = "learning anew, because an earlier version had begun to learn in another way"
        learner = Learner(self.rule.learn // MINUTE, self.patient)
        made = learner.take(learning, space, step)
        counts = {"calls": step.moments.count, "reference_calls": learning.get("calls", 0)}
        if made:
            state["recent"] = state.pop("learning").get("recent", [])
            state["reference"] = made.pack()
        measures = {"reference_age_s": 0.0, "learned_share": 1.0 if made else learner.share(learning)}
        stand = Stand(step.end, measures, counts, texts={"model": space})
        return Reading(step.end, "clear", 0.0, 1.0, note=note, stands=(stand,))

    def _evaluated(self, state: dict[str, Any], reference: Reference, step: Step, *, stands: bool) -> Reading:
        run = run_length(self.rule.false_alarms, self.rule.series, MINUTE)
        found = heads.read(state, reference, step, run)
        state["recent"] = [*recent(state), *step.calls][-RECENT:]
        score = found.scores[found.greatest].share
        if found.known:
            state["hushed"] = found.hushed
        verdict: Verdict = "breach" if score > 1 else "hold" if score >= RELEASE else "clear"
        if not found.known and verdict == "clear" and state.get("hushed", 0.0) >= RELEASE:
            verdict = "hold"
        note = notes.changed(state, reference, found) if verdict == "breach" else "back to the reference"
        reading = Reading(step.end, verdict, score, 1.0, note=note)
        if not stands:
            return reading
        seen = visible.share(state, reference, run)
        return reading._replace(stands=(self._stand(reference, step, found, seen),))

    def _stand(self, reference: Reference, step: Step, found: heads.Read, seen: float | None) -> Stand:
        topics, shape, alike, unusual, joint = (score.share for score in found.scores)
        measures = {
            "statistic": max(topics, shape, alike, unusual, joint),
            "threshold": 1.0,
            "reference_age_s": (step.end - reference.made) / SECOND,
            "overdispersion": reference.overdispersion,
        }
        if found.known:
            measures |= {"topics": max(topics, joint), "shape": max(shape, alike)}
        if seen is not None:
            measures |= {"unusual": unusual, "visible_share": seen}
        if reference.minutes:
            measures["limits_learned_s"] = float(reference.minutes * MINUTE // SECOND)
        counts = {"calls": step.moments.count, "reference_calls": reference.calls}
        return Stand(step.end, measures, counts, texts={"model": reference.space})


def _pack(state: dict[str, Any]) -> None:
    pool.pack(state)
    heads.pack(state)


def _is_breach(readings: Sequence[Reading]) -> bool:
    return any(reading.verdict == "breach" for reading in readings)

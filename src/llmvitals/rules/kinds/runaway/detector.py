"""Who exceeds what in a window: the spend, or the tool calls, of someone who may have gone out of control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.metrics.amount import NANO
from llmvitals.metrics.quantity import amount
from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.metrics.metric import Sample
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.trailing import Trailing
    from llmvitals.rules.kinds.runaway.spec import Runaway

LEVELS: Final = {1: "", 2: "×2", 5: "×5"}
"""How many times the limit → the level; each is told once in an episode."""
RELEASE: Final = 95
"""It is over when everything is below this per cent of its limit."""
NAMED: Final = 3
"""Tool calls that are named at most."""


class _Excess(NamedTuple):
    """How much there is of what a rule limits."""

    what: str
    much: int
    limit: int

    def step(self, above: int) -> int:
        """The highest of LEVELS above one that is reached; 0 when none is."""
        return max((step for step in LEVELS if step > above and self.much >= step * self.limit), default=0)


_NOTHING: Final[Sample] = ([0], 0, {})


@dataclass(frozen=True, slots=True)
class RunawayDetector(Detector):
    """known: whether one knows whom this is about. tools: whether tools matter.

    State: that of the window of closed panes; "fired" (of LEVELS, the highest told), "begin" and "at" while
    firing; "number": of the episodes since the window was empty. An episode is named by the slot of the
    window's length that it began in, and its number: told from open panes or from closed ones, its name is
    the same.
    """

    rule: Runaway
    pane: int
    trailing: Trailing
    known: bool
    tools: bool

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"runaway {self.trailing.panes} {self.trailing.buckets} {self.pane} {self.tools}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if not self.known:
            return []
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, self._sample(vitals))
        at, sample = (pane + 1) * self.pane, state.get("sum", _NOTHING)
        excesses = self._excesses(sample)
        if "fired" in state and at > state["at"] and self._calm(excesses):
            readings = [self._reading(at, excesses[0], "clear", state["begin"], note="has calmed down")]
            state["number"] = state.get("number", 0) + 1
            del state["fired"], state["begin"], state["at"]
        else:
            readings = self._told(state, at, sample)
        if "ring" not in state and "fired" not in state:
            state.pop("number", None)
        return readings

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        more: list[tuple[int, Sample]] = []
        for pane, vitals in opened if self.known else ():
            more.append((pane, self._sample(vitals)))
            first = self.trailing.begins(pane)
            sample = self.trailing.ahead(state, pane, [each for at, each in more if at >= first])
            readings = self._told(state, (pane + 1) * self.pane, sample) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the window lets go of something that matters; FOREVER: nothing is there."""
        return self.trailing.changes(state) if "fired" in state else self.trailing.empties(state)

    def _told(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        excesses, fired = self._excesses(sample), state.get("fired", 0)
        worst = max(excesses, key=lambda one: one.step(fired))
        step = worst.step(fired)
        if not step:
            return []
        begin = state.get("begin") or f"{at // self.rule.window}-{state.get('number', 0)}"
        state.update(fired=step, begin=begin, at=max(at, state.get("at", 0)))
        of = worst if self.rule.spend is None else excesses[0]
        return [self._reading(at, of, "breach", begin, level=LEVELS[step], note=self._note(worst, sample))]

    def _reading(
        self, at: int, of: _Excess, verdict: Verdict, begin: str, *, note: str, level: str = ""
    ) -> Reading:
        scale = 1 if self.rule.spend is None else NANO
        return Reading(at, verdict, of.much / scale, of.limit / scale, level, begin, note=note)

    def _calm(self, excesses: Sequence[_Excess]) -> bool:
        return all(one.much * 100 < one.limit * RELEASE for one in excesses)

    def _sample(self, vitals: Vitals) -> Sample:
        """Money, and the tool calls whose arguments are known."""
        tools = vitals.contributors.get("tool", {}) if self.tools else {}
        known = {name: share[0] for name, share in tools.items() if "#" in name}
        return [vitals.total("cost_nano")], 0, known

    def _excesses(self, sample: Sample) -> list[_Excess]:
        """One for each limit of the rule, spend first."""
        (spent,), _, tools = sample
        rule, found = self.rule, []
        if rule.spend is not None:
            found.append(_Excess("spend", spent, rule.spend))
        if rule.same_tool is not None:
            found.append(_Excess("same_tool", max(tools.values(), default=0), rule.same_tool))
        if rule.signatures is not None:
            calls = sum(tools.values()) if len(tools) <= rule.signatures.at_most else 0
            found.append(_Excess("signatures", calls, rule.signatures.calls))
        return found

    def _note(self, of: _Excess, sample: Sample) -> str:
        """What happened, after who it is: `called search#ab12 23 times within 10m, …`."""
        within, tools = f"within {self.rule.window_text}", sample[2]
        if of.what == "spend":
            spent, limit = (amount(nano / NANO, "usd") for nano in (of.much, of.limit))
            return f"spent {spent} {within}; {limit} is what it may"
        often = sorted(tools, key=lambda name: (-tools[name], name))
        if of.what == "same_tool":
            return f"called {often[0]} {of.much:,} times {within}, each time with the same arguments"
        named = ", ".join(often[:NAMED]) + (" …" if len(often) > NAMED else "")
        kinds = "of one kind" if len(often) == 1 else f"of only {len(often)} kinds"
        return f"made {of.much:,} tool calls {within}, {kinds}: {named}"

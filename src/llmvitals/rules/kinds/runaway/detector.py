"""Compares the spend and the tool calls of a session, user or key in a window with limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from llmvitals.metrics.amount import NANO
from llmvitals.metrics.quantity import amount
from llmvitals.record.reading import Reading
from llmvitals.record.vitals import TOOL_CALLS
from llmvitals.rules.condition.detector import Detector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.metrics.metric import Sample
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.trailing import Trailing

LEVELS: Final = {1: "", 2: "×2", 5: "×5"}
"""Multiple of the limit → level; each is reported once in an episode."""
RELEASE: Final = 95
"""An alert resolves when all amounts are below this per cent of their limits."""
NAMED: Final = 3
"""The most tool calls that are named."""


class _Limited(NamedTuple):
    """An amount that a rule limits."""

    what: str
    amount: int
    limit: int

    def step(self, above: int) -> int:
        """The highest of LEVELS above one that is reached; 0 when none is."""
        if self.amount < self.limit:
            return 0
        return max((step for step in LEVELS if step > above and self.amount >= step * self.limit), default=0)


_NOTHING: Final[Sample] = ([0], 0, {})


class Loop(Protocol):
    """Many tool calls of few kinds: at least `calls`, of `at_most` different ones."""

    @property
    def calls(self) -> int: ...
    @property
    def at_most(self) -> int: ...


class Limits(Protocol):
    """The fields of a rule that the detector reads. window: µs; spend: nano-dollars."""

    @property
    def window(self) -> int: ...
    @property
    def window_text(self) -> str: ...
    @property
    def spend(self) -> int | None: ...
    @property
    def same_tool(self) -> int | None: ...
    @property
    def signatures(self) -> Loop | None: ...


@dataclass(frozen=True, slots=True)
class RunawayDetector(Detector):
    """known: whether it is known who makes the calls. tools: whether tool calls are read.

    State: that of the window of closed panes; "fired" (the highest of LEVELS that was reported), "begin" and
    "at" while it fires; "number": the episodes since the window was empty. An episode's name consists of the
    time at which it began, in whole windows, and its number, so open and closed panes give the same name.
    """

    rule: Limits
    pane: int
    trailing: Trailing
    known: bool
    tools: bool

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"runaway {self.trailing.panes} {self.trailing.buckets} {self.pane} {self.tools}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if not self.known:
            return []
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, self._sample(vitals))
        at, sample = (pane + 1) * self.pane, state.get("sum", _NOTHING)
        readings = self._ended(state, at, sample) or self._report(state, at, sample)
        readings = readings or self._held(state, at, sample)
        if "ring" not in state and "fired" not in state:
            state.pop("number", None)
        return readings

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: list[Reading] = []
        more: list[tuple[int, Sample]] = []
        for pane, vitals in opened if self.known else ():
            more.append((pane, self._sample(vitals)))
            first = self.trailing.begins(pane)
            sample = self.trailing.ahead(state, pane, [entry for at, entry in more if at >= first])
            readings = self._report(state, (pane + 1) * self.pane, sample) or readings
        return readings

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """What is left until the next of LEVELS, as if nothing left the window."""
        step = next((step for step in LEVELS if step > state.get("fired", 0)), None)
        if not self.known or step is None:
            return {}
        (spent,), _, tools = state.get("sum", _NOTHING)
        left: dict[tuple[str, ...], int] = {}
        if self.rule.spend is not None:
            left["cost_nano",] = step * self.rule.spend - spent
        calls = []
        if self.rule.same_tool is not None:
            calls.append(step * self.rule.same_tool - max(tools.values(), default=0))
        if self.rule.signatures is not None:
            calls.append(step * self.rule.signatures.calls - sum(tools.values()))
        if calls:
            left[TOOL_CALLS,] = min(calls)
        return left

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which something relevant leaves the window; FOREVER: the window is empty."""
        return self.trailing.changes(state) if "fired" in state else self.trailing.empties(state)

    def _report(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        amounts, fired = self._limited(sample), state.get("fired", 0)
        worst = max(amounts, key=lambda limited: limited.step(fired))
        step = worst.step(fired)
        if not step:
            return []
        begin = state.get("begin") or f"{at // self.rule.window}-{state.get('number', 0)}"
        state.update(fired=step, begin=begin, at=max(at, state.get("at", 0)))
        of = worst if self.rule.spend is None else amounts[0]
        return [self._reading(at, of, "breach", begin, level=LEVELS[step], note=self._note(worst, sample))]

    def _ended(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        """The end of an episode, if all amounts are low again."""
        if "fired" not in state or at <= state["at"]:
            return []
        amounts = self._limited(sample)
        if any(limited.amount * 100 >= limited.limit * RELEASE for limited in amounts):
            return []
        reading = self._reading(at, amounts[0], "clear", state["begin"], note="is back below the limit")
        state["number"] = state.get("number", 0) + 1
        del state["fired"], state["begin"], state["at"]
        return [reading]

    def _held(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        """The present amounts while it fires; those of open panes are ahead of them."""
        if "fired" not in state or at <= state["at"]:
            return []
        amounts = self._limited(sample)
        worst = max(amounts, key=lambda limited: limited.amount / limited.limit)
        of = worst if self.rule.spend is None else amounts[0]
        return [self._reading(at, of, "hold", state["begin"], note=self._note(worst, sample))]

    def _reading(
        self, at: int, of: _Limited, verdict: Verdict, begin: str, *, note: str, level: str = ""
    ) -> Reading:
        scale = 1 if self.rule.spend is None else NANO
        return Reading(at, verdict, of.amount / scale, of.limit / scale, level, begin, note=note)

    def _sample(self, vitals: Vitals) -> Sample:
        """Money, and the tool calls whose arguments are known."""
        tools = vitals.contributors.get("tool", {}) if self.tools else {}
        known = {name: share[0] for name, share in tools.items() if "#" in name}
        return [vitals.total("cost_nano")], 0, known

    def _limited(self, sample: Sample) -> list[_Limited]:
        """One for each limit of the rule, spend first."""
        (spent,), _, tools = sample
        rule, found = self.rule, []
        if rule.spend is not None:
            found.append(_Limited("spend", spent, rule.spend))
        if rule.same_tool is not None:
            found.append(_Limited("same_tool", max(tools.values(), default=0), rule.same_tool))
        if rule.signatures is not None:
            calls = sum(tools.values()) if len(tools) <= rule.signatures.at_most else 0
            found.append(_Limited("signatures", calls, rule.signatures.calls))
        return found

    def _note(self, of: _Limited, sample: Sample) -> str:
        """What happened, to follow the series: `called search#ab12 23 times within 10m, …`."""
        within, tools = f"within {self.rule.window_text}", sample[2]
        if of.what == "spend":
            spent, limit = (amount(nano / NANO, "usd") for nano in (of.amount, of.limit))
            return f"spent {spent} {within}; limit {limit}"
        often = sorted(tools, key=lambda name: (-tools[name], name))
        if of.what == "same_tool":
            return f"called {often[0]} {of.amount:,} times {within}, each time with the same arguments"
        named = ", ".join(often[:NAMED]) + (" …" if len(often) > NAMED else "")
        kinds = "of one kind" if len(often) == 1 else f"of only {len(often)} kinds"
        return f"made {of.amount:,} tool calls {within}, {kinds}: {named}"

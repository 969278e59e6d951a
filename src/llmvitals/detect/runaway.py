"""Someone who has gone out of control: too much money in a short time, or the same tools over and over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from llmvitals.detect.amount import NANO, dollars_nano
from llmvitals.detect.metric import Sample
from llmvitals.detect.scope import Scope, trailing_window
from llmvitals.detect.trailing import Trailing, bucket_length
from llmvitals.record.quantity import amount
from llmvitals.record.reading import Reading, Verdict
from llmvitals.record.view import UNKNOWN
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

LEVELS: Final = {1: "", 2: "×2", 5: "×5"}
"""How many times the limit → the level; each is told once in an episode."""
RELEASE: Final = 95
"""It is over when everything is below this per cent of its limit."""
NAMED: Final = 3
"""Tool calls that are named at most."""


class Signatures(BaseModel):
    """Many tool calls of few kinds, as in A → B → A: at least `calls`, of `at_most` different ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    calls: int = Field(ge=2, le=1_000_000)
    at_most: int = Field(ge=1, le=20)


class Runaway(Scope):
    """`runaway:` of a rule. It fires when a series reaches any of these within the window.

    by: what may run away: session, user, key, agent; of calls where that is not known nothing is said.
    window: 24h at most. spend: dollars (here: nano-dollars). same_tool: so many calls of one tool with the
    same arguments. signatures: many tool calls of few kinds, a kind being a tool and its arguments. A tool
    call without known arguments counts in neither.

    Calls that are not closed count as well, so it is heard within a second or two. It speaks again at twice
    (level ×2) and five times (×5, critical whatever the labels say) of the limit, once each until it is over:
    until everything is below 95 % of its limit again. value and limit are of the spend where that is limited,
    else of the tool calls; the note says what happened.
    """

    kind: ClassVar[str] = "runaway"
    eager: ClassVar[bool] = True
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{series} {note}"
    grave: ClassVar[frozenset[str]] = frozenset((LEVELS[5],))

    by: tuple[str, ...] = Field(("session",), max_length=4)
    window: int = 10 * MINUTE
    spend: int | None = None
    same_tool: int | None = Field(None, ge=2, le=1_000_000)
    signatures: Signatures | None = None

    @field_validator("window", mode="before")
    @classmethod
    def _window(cls, value: Any, info: ValidationInfo) -> int:
        return trailing_window(value, info)

    @field_validator("spend", mode="before")
    @classmethod
    def _spend(cls, value: Any) -> int:
        nano = dollars_nano(value)
        if nano <= 0:
            raise ValueError(f"{value} would always be reached: write dollars above 0")
        return nano

    @field_validator("signatures", mode="before")
    @classmethod
    def _signatures(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("write {calls: 30, at_most: 3}")  # noqa: TRY004 - pydantic tells a ValueError
        return value

    @model_validator(mode="after")
    def _whole(self) -> Runaway:
        if self.spend is None and self.same_tool is None and self.signatures is None:
            raise ValueError(
                "write what is too much: spend: 5, same_tool: 20 or signatures: {calls: 30, at_most: 3}"
            )
        if not self.by:
            raise ValueError("write who may run away, such as by: [session]")
        if self.signatures and self.signatures.at_most >= self.signatures.calls:
            raise ValueError("signatures: any calls are of so few kinds: write at_most well below calls")
        return self

    @property
    def metric(self) -> str:
        """What value and limit are of."""
        return "tool_calls" if self.spend is None else "cost"

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return "count" if self.spend is None else "usd"

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    @property
    def shown(self) -> bool:
        """There are too many of them to be tags."""
        return False

    def detector(self, pane: int, key: tuple[str, ...]) -> RunawayDetector:
        """The logic for one series, whose values of `by` are key; pane in µs."""
        length = bucket_length(self.window, pane)
        trailing = Trailing(length // pane, self.window // length)
        tools = self.same_tool is not None or self.signatures is not None
        return RunawayDetector(self, pane, trailing, known=UNKNOWN not in key, tools=tools)


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
class RunawayDetector:
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
        more: list[Sample] = []
        for pane, vitals in opened if self.known else ():
            more.append(self._sample(vitals))
            sample = self.trailing.ahead(state, pane, more)
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

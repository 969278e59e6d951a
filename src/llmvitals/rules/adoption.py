"""What a rule goes by at one series is given to it, from outside of the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmvitals.rules.alert_state import NoDataPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.rule import Rule


def adopt(
    rules: Sequence[Rule], pane: int, state: dict[str, Any], *, name: str, memory: bytes | None
) -> bool:
    """Have the rule of that name go by a memory (None: begin anew) in a series' state; whether it could.

    rules: those that read the view. state: as `Watch.advance` keeps it. What else it holds, such as an
    alert that fires, stays; what the rule was when it was another one ends when it is next asked.
    """
    rule = next((rule for rule in rules if rule.name == name), None)
    if rule is None:
        return False
    shape = rule.condition.detector(pane, ()).shape + NoDataPolicy(rule.no_data, pane).shape
    entries = state.get("rules", {})
    entry = entries.get(name, {})
    if entry.get("shape") != shape:
        entry = {"shape": shape, "seen": {}, "lives": {}, "gap": {}}
    try:
        adopted: bool = rule.condition.adopt(entry["seen"], memory)
    except ValueError:
        return False
    if adopted:
        if name in entries and entries[name] is not entry:
            entries[f"{name}\0"] = entries[name]
        state["rules"] = {**entries, name: entry}
    return adopted

"""The closed panes of series as the rules read them: in a split view, all arms of a home together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llmvitals.merge.plan import MergePlan, Panes
from llmvitals.record.series import series_key, series_of
from llmvitals.record.view import OTHER
from llmvitals.record.vitals import Vitals, merged


def by_home(plan: MergePlan, view: str, every: Iterable[tuple[bytes, int, Vitals]]) -> dict[bytes, Panes]:
    """Home (see View) → its panes. every: series, pane and vitals, panes ascending, of a view."""
    panes: dict[bytes, Panes] = {}
    for key, pane, vitals in _joined(plan, every) if plan.views[view].split else every:
        panes.setdefault(key, []).append((pane, vitals))
    return panes


def _joined(
    plan: MergePlan, every: Iterable[tuple[bytes, int, Vitals]]
) -> Iterator[tuple[bytes, int, Vitals]]:
    arms: dict[tuple[int, bytes], dict[str, Vitals]] = {}
    for key, pane, vitals in every:
        view, series = series_of(key)
        home, arm = plan.home(view, series)
        arms.setdefault((pane, series_key(view, home)), {})[arm] = vitals
    for (pane, home_key), by_arm in arms.items():
        yield home_key, pane, _with_arms(by_arm)


def _with_arms(arms: dict[str, Vitals]) -> Vitals:
    """Sum the arms of a home, and keep each of them except OTHER."""
    by_arm = {arm: arms[arm] for arm in sorted(arms)}
    late: dict[int, list[Vitals]] = {}
    for vitals in by_arm.values():
        for quarter, part in vitals.late.items():
            late.setdefault(quarter, []).append(part)
    on_time = {arm: replace(vitals, late={}) if vitals.late else vitals for arm, vitals in by_arm.items()}
    whole = merged([*on_time.values()], with_cells=False)
    on_time.pop(OTHER, None)
    return replace(whole, arms=on_time, late={quarter: merged(late[quarter]) for quarter in sorted(late)})

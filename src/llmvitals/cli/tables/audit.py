"""What an audit finds, as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.text import Text

from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.metrics.quantity import amount
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from llmvitals.audit.audit import Audit, Compared

_NANO: Final = 1e9
_ROWS: Final = 20
"""Rows of each kind that are listed; `--json` has all."""
_COST: Final = "cost_nano"


def audit_plain(found: Audit, compared: Sequence[Compared], refused: int) -> dict[str, Any]:
    """All findings for programs: costs in dollars."""
    return {
        "calls": found.calls,
        "refused": refused,
        "doubled": found.doubled,
        "doubled_ids": dict(found.doubled_ids),
        "copies": found.copies,
        "sequences": [msgspec.to_builtins(one) for one in found.sequences.found()],
        "without_usage": dict(found.without_usage.most_common()),
        "given": [
            {
                "model": row.model,
                "calls": row.calls,
                "given_usd": row.given / _NANO,
                "computed_usd": row.computed / _NANO,
            }
            for row in found.given()
        ],
        "plans": [
            {
                "plan": plan.name,
                "days": found.plans.days,
                "users": len(plan.users),
                "calls": plan.calls,
                "listed_usd": plan.listed / _NANO,
                "plan_usd": plan.cost(found.plans.days) / _NANO,
                "unpriced": plan.unpriced,
                "without_user": plan.nameless,
            }
            for plan in found.plans.found()
        ],
        "bill": [_compared(row) for row in compared],
    }


def _compared(row: Compared) -> dict[str, Any]:
    unit = _NANO if row.measure == _COST else 1
    return {
        "provider": row.provider,
        "day": row.day or None,
        "model": row.model or None,
        "measure": "cost_usd" if row.measure == _COST else row.measure,
        "billed": row.billed / unit if unit > 1 else row.billed,
        "counted": row.counted / unit if unit > 1 else row.counted,
    }


def print_audit(found: Audit, compared: Sequence[Compared], refused: int, *, share: float) -> None:
    """Print what was found. share: how far amounts may be apart."""
    console = terminal()
    console.print(f"{found.calls:,} calls of models")
    twice = [clean(name, 80) for name, _ in found.doubled_ids.most_common(3)]
    such = f", such as {', '.join(twice)}" if twice else ""
    _line(
        console,
        f"{found.doubled:,} events came again with the same id{such}: each id counts once",
        found.doubled,
    )
    _line(console, f"{found.copies:,} answers were reported by a second instrumentor: they count once", 0)
    _line(console, f"{refused:,} records or items could not be read", refused)
    sequences = found.sequences.found()
    gone = sum(one.missing for one in sequences)
    _line(console, f"{gone:,} ids are missing from {len(sequences):,} numbered sequences", gone)
    for one in [one for one in sequences if one.missing][:_ROWS]:
        names = ", ".join(clean(name, 80) for name in one.examples)
        more = ", …" if one.missing > len(one.examples) else ""
        console.print(Text(f"  {one.missing:,} between {one.first:,} and {one.last:,}: {names}{more}"))
    silent = found.without_usage.total()
    _line(console, f"{silent:,} successful calls do not tell their tokens", silent)
    for name, count in found.without_usage.most_common(_ROWS):
        console.print(Text(f"  {count:>7,}  {clean(name, 80)}"))
    _print_given(found, console)
    _print_plans(found, console)
    _print_bill(compared, console, share=share)


def _line(console: Console, text: str, trouble: int) -> None:
    console.print(text, style="yellow" if trouble else "")


def _print_given(found: Audit, console: Console) -> None:
    rows = found.given()
    if not rows:
        return
    table = plain_table("given costs of", figures=("calls", "given", "by list", "apart"))
    for row in rows[:_ROWS]:
        costs = (amount(cost / _NANO, "usd") for cost in (row.given, row.computed))
        table.add_row(clean(row.model, 80), f"{row.calls:,}", *costs, _apart(row.deviation))
    console.print(table)


def _print_plans(found: Audit, console: Console) -> None:
    plans, days = found.plans.found(), found.plans.days
    if not plans:
        return
    table = plain_table(f"flat-rate plans, {days:.1f} days", figures=("users", "calls", "by list", "by plan"))
    for plan in plans:
        costs = (amount(cost / _NANO, "usd") for cost in (plan.listed, plan.cost(days)))
        table.add_row(clean(plan.name, 80), f"{len(plan.users):,}", f"{plan.calls:,}", *costs)
    console.print(table)
    for plan in plans:
        _without(console, plan.nameless, f"calls of {clean(plan.name, 80)} do not tell their user")
        _without(console, plan.unpriced, f"calls of {clean(plan.name, 80)} have no list price")


def _without(console: Console, calls: int, what: str) -> None:
    if calls:
        console.print(Text(f"{calls:,} {what}", style="yellow"))


def _print_bill(compared: Sequence[Compared], console: Console, *, share: float) -> None:
    """Print the sums, and of the days and models those that are further apart."""
    rows = [row for row in compared if not row.day]
    rows += [row for row in compared if row.day and abs(row.deviation) > share][:_ROWS]
    if not rows:
        return
    table = plain_table("bill of", "day", "model", "of", figures=("billed", "counted", "apart"))
    for row in rows:
        costs = row.measure == _COST
        figures = (
            amount(number / _NANO, "usd") if costs else f"{number:,}" for number in (row.billed, row.counted)
        )
        what = "cost" if costs else row.measure.replace("_", " ")
        style = "yellow" if abs(row.deviation) > share else ""
        table.add_row(
            row.provider,
            row.day or "all",
            clean(row.model, 80),
            what,
            *figures,
            _apart(row.deviation),
            style=style,
        )
    console.print(table)


def _apart(share: float) -> str:
    return "–" if math.isinf(share) else f"{share:+.2%}"

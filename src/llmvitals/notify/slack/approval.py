"""The button that approves a raise of a budget: its value, the modal that it opens, and what that says. Pure.

A raise is an override of the budget's verdict: until its end no call is blocked. The new limit is a note.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from llmvitals.metrics.quantity import amount
from llmvitals.notify.slack.actions import VALUE, ExactMatcher, encoded, plain
from llmvitals.notify.slack.limits import utf16
from llmvitals.notify.title import one_series
from llmvitals.record.alert import Unit
from llmvitals.record.matcher import Matcher
from llmvitals.record.user_action import Silence
from llmvitals.window import DAY, SECOND
from llmvitals.wording import clean, escape

if TYPE_CHECKING:
    from llmvitals.record.notification import MessageState

    Block = dict[str, Any]

APPROVE: Final = "llmvitals_approve"
CALLBACK: Final = "llmvitals_raise"
LONGEST: Final = 366 * DAY
"""The longest that a raise may last, µs."""
_UNITS: Final = {"usd": "dollars", "tokens": "tokens"}
_WARNING: Final = (
    "Until then no call of it is blocked, however much is spent, and its alerts are not told. "
    "The new limit is a note for others: to keep it, change the rule."
)


class Raise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the button and its modal carry: the budget, its limit, and when its period ends (s since 1970)."""

    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    matchers: Annotated[tuple[ExactMatcher, ...], msgspec.Meta(min_length=1, max_length=32)]
    unit: Unit
    limit: float
    ends: int = 0


def button(state: MessageState) -> list[Block]:
    """Return the button, for a message about one budget that steers gateways; else nothing."""
    alert = state.chief
    steered = alert.bound == "budget" and alert.verdict in {"warn", "block"} and alert.status == "firing"
    if (
        not steered
        or state.digest
        or state.unheard
        or not one_series(state)
        or not math.isfinite(alert.limit)
    ):
        return []
    matchers = tuple(ExactMatcher(matcher.name, matcher.value) for matcher in alert.itself)
    about = Raise(state.incident, matchers, alert.unit, alert.limit, max(alert.ends or 0, 0) // SECOND)
    value = encoded(about)
    if not value or utf16(value) > VALUE or parsed(value) is None:
        return []
    return [{"type": "button", "text": plain("Approve a raise"), "action_id": APPROVE, "value": value}]


def parsed(value: object) -> Raise | None:
    """Return what a value that comes back is about; None when it is not ours. It comes from outside."""
    if not isinstance(value, str) or len(value) > VALUE:
        return None
    try:
        return msgspec.json.decode(value, type=Raise)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def pressed(payload: Any) -> tuple[str, str, str] | None:
    """Return (value, trigger, the user's id) of a press of the button; None for anything else."""
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict) and action.get("action_id") == APPROVE and parsed(action.get("value")):
            return action["value"], str(payload.get("trigger_id", "")), user_id(payload)
    return None


def user_id(payload: Any) -> str:
    """Return who did it; "" where it is not known."""
    user = payload.get("user") if isinstance(payload, dict) else None
    found = user.get("id") if isinstance(user, dict) else None
    return found if isinstance(found, str) else ""


def modal(value: str, now: int) -> Block:
    """Return the view that asks for the new limit and until when; now: µs."""
    about = parsed(value)
    if about is None:
        return refusal("This button is from another version of llmvitals.")
    names = {matcher.name: matcher.value for matcher in about.matchers}
    rule = clean(names.pop("rule", ""), 80)
    series = ", ".join(clean(value, 60) for value in names.values())
    what = " · ".join(filter(None, (rule, series, f"limit {amount(about.limit, about.unit)}")))
    until = about.ends if about.ends > now // SECOND else (now + DAY) // SECOND
    unit = _UNITS.get(about.unit, "calls")
    number = {"type": "number_input", "action_id": "amount", "is_decimal_allowed": about.unit == "usd"}
    picker = {"type": "datetimepicker", "action_id": "until", "initial_date_time": until}
    return {
        **_view(),
        "callback_id": CALLBACK,
        "private_metadata": value,
        "submit": plain("Approve"),
        "blocks": [
            {"type": "section", "text": plain(escape(what, 500))},
            _input("amount", f"New limit, in {unit}", number),
            _input("until", "Until", picker),
            {"type": "context", "elements": [plain(_WARNING)]},
        ],
    }


def refusal(reason: str) -> Block:
    """Return the view for somebody who may not approve."""
    return {**_view(), "blocks": [{"type": "section", "text": plain(escape(clean(reason, 500)))}]}


def submitted(payload: Any, now: int, by: str) -> Silence | dict[str, str] | None:
    """Return the override that a submitted modal asks for, or what is wrong, by block; None: it is not ours.

    by: a name that people know. now: µs. The same submission, delivered twice, gives the same key.
    """
    view = payload.get("view") if isinstance(payload, dict) else None
    if not isinstance(view, dict) or view.get("callback_id") != CALLBACK:
        return None
    about = parsed(view.get("private_metadata"))
    if about is None:
        return None
    limit, until = _number(_entered(view, "amount", "value")), _entered(view, "until", "selected_date_time")
    if limit is None or limit <= about.limit:
        return {"amount": f"Write more than the present limit of {amount(about.limit, about.unit)}."}
    if not isinstance(until, int) or isinstance(until, bool) or not now < until * SECOND <= now + LONGEST:
        return {"until": "Choose a time that is still to come, at most a year from now."}
    mark = hashlib.sha256(f"{view.get('id')} {about.incident}".encode("utf-8", "surrogatepass")).hexdigest()
    return Silence(
        id=f"slack-raise-{mark[:12]}",
        matchers=tuple(Matcher(matcher.name, "=", matcher.value) for matcher in about.matchers),
        starts=now,
        ends=until * SECOND,
        by=by,
        comment=f"limit raised to {amount(limit, about.unit)} by {by}",
        kind="override",
    )


def is_submission(payload: Any) -> bool:
    """Whether it is a submitted modal of ours."""
    view = payload.get("view") if isinstance(payload, dict) else None
    return (
        isinstance(view, dict)
        and payload.get("type") == "view_submission"
        and view.get("callback_id") == CALLBACK
    )


def _view() -> Block:
    return {"type": "modal", "title": plain("Approve a raise"), "close": plain("Close")}


def _input(name: str, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": name, "label": plain(label), "element": element}


def _entered(view: Block, block: str, key: str) -> Any:
    """What was entered into the field of a block."""
    found: Any = view
    for name in ("state", "values", block, block, key):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _number(text: Any) -> float | None:
    try:
        number = float(text) if isinstance(text, str) and len(text) < 40 else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None

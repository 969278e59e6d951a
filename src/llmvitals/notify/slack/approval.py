"""Approves a raise of a budget: the button, the modal that it opens and what that says, and who may approve.

A raise is an override of the budget's verdict: until its end no call is blocked. The new limit is a note.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import structlog

from llmvitals.metrics.quantity import amount
from llmvitals.notify.slack.actions import VALUE, ExactMatcher, encoded, plain, user_name
from llmvitals.notify.slack.block_limits import utf16
from llmvitals.notify.slack.connection import asked, session, web_client
from llmvitals.notify.title import one_series
from llmvitals.record.alert import Unit
from llmvitals.record.matcher import Matcher
from llmvitals.record.user_action import Silence
from llmvitals.window import DAY, SECOND
from llmvitals.wording import clean, escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.web.async_client import AsyncWebClient

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

log: Final = structlog.get_logger(__name__)

PATIENCE: Final = 2.0
"""Slack wants an answer within 3 s."""
_NOBODY: Final = "Only those whom the setting slack_approvers names may approve a raise."
_CURES: Final = {
    "missing_scope": "give the app the scope usergroups:read and install it again",
    "no_such_subteam": "slack_approvers names a user group that there is not",
}


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


class Approvers:
    """ids: of users (U…) and of user groups (S…). token: the bot's. clock: µs since 1970.

    Members are asked for at each press, so whoever leaves a group may approve no more.
    """

    def __init__(self, token: str, url: str, ids: tuple[str, ...], clock: Callable[[], int]) -> None:
        self._token, self._url, self._ids, self._clock = token.strip(), url, ids, clock
        # What slack_sdk would log holds people's names.
        self._mute = logging.getLogger("llmvitals.slack_sdk.approvers")
        self._mute.disabled = True

    async def open(self, payload: Any) -> None:
        """Open the modal for whoever has pressed the button, if that is what the payload says."""
        found = pressed(payload)
        if found is None:
            return
        value, trigger, user = found
        async with session(PATIENCE) as http:
            web = web_client(self._token, self._url, http, self._mute)
            why = await self._refusal(web, user)
            view = refusal(why) if why else modal(value, self._clock())
            opened = await asked(web.views_open(trigger_id=trigger, view=view))
        if not isinstance(opened, dict):
            log.warning("the modal for a raise was not opened", reason=opened.advice)

    async def decide(self, payload: Any) -> Silence | dict[str, str] | None:
        """Return the override that a submitted modal asks for, or what is wrong, by block of the modal."""
        try:
            async with asyncio.timeout(PATIENCE), session(PATIENCE) as http:
                why = await self._refusal(
                    web_client(self._token, self._url, http, self._mute), user_id(payload)
                )
        except TimeoutError:
            why = "Slack did not say in time who may approve: try again."
        return {"amount": why} if why else submitted(payload, self._clock(), user_name(payload.get("user")))

    async def _refusal(self, web: AsyncWebClient, user: str) -> str:
        """Why this user may not approve; "" where they may."""
        if user and user in self._ids:
            return ""
        why = _NOBODY
        for group in (one for one in self._ids if one.startswith("S")):
            found = await asked(web.usergroups_users_list(usergroup=group))
            if not isinstance(found, dict):
                cure = _CURES.get(found.code, found.advice)
                log.warning("it is not known who may approve a raise", code=found.code, cure=cure)
                why = f"It is not known who may approve: {cure}."
            elif user and user in (found.get("users") or ()):
                return ""
        return why

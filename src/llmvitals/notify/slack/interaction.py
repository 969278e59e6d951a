"""A payload of Slack's, which comes from outside → the user actions that it asks for. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from llmvitals.notify.slack.actions import ACK, CALLS, LENGTHS, SILENCE, ButtonValue, parsed_value
from llmvitals.record.user_action import Acknowledgement, Question, Silence
from llmvitals.wording import clean

if TYPE_CHECKING:
    from llmvitals.record.user_action import UserAction


def user_actions(payload: Any, now: int) -> list[UserAction]:
    """Return what a payload of Slack's asks for at `now` (µs), nothing where it is malformed or not ours.

    The same press, delivered twice, gives the same keys.
    """
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return []
    by = name(payload.get("user"))
    pressed = payload.get("actions")
    elements = pressed if isinstance(pressed, list) else []
    asked = (_user_action(element, payload, by, now) for element in elements)
    return [action for action in asked if action is not None]


def _user_action(action: Any, payload: dict[str, Any], by: str, now: int) -> UserAction | None:
    if not isinstance(action, dict):
        return None
    kind = action.get("action_id")
    if kind == SILENCE:
        return _silence(action, payload, by, now)
    about = parsed_value(action.get("value"))
    if about is None or kind not in {ACK, CALLS}:
        return None
    record = Acknowledgement if kind == ACK else Question
    return record(incident=about.incident, by=by, at=now)


def _silence(action: dict[str, Any], payload: dict[str, Any], by: str, now: int) -> Silence | None:
    chosen = action.get("selected_option")
    length = chosen.get("value") if isinstance(chosen, dict) else None
    about = _beside(payload)
    if about is None or not about.matchers or not isinstance(length, str) or length not in LENGTHS:
        return None
    mark = f"{about.incident} {length} {action.get('action_ts')}"
    return Silence(
        id=f"slack-{hashlib.sha256(mark.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}",
        matchers=about.matchers,
        starts=now,
        ends=now + LENGTHS[length],
        by=by,
        comment="from Slack",
        incident=about.incident if length == "resolved" else "",
    )


def _beside(payload: dict[str, Any]) -> ButtonValue | None:
    """What the message's other button is about: a menu's choice has no room for it."""
    message = payload.get("message")
    blocks = message.get("blocks") if isinstance(message, dict) else None
    for block in blocks if isinstance(blocks, list) else []:
        elements = block.get("elements") if isinstance(block, dict) else None
        for element in elements if isinstance(elements, list) else []:
            if isinstance(element, dict) and element.get("action_id") == CALLS:
                return parsed_value(element.get("value"))
    return None


def name(user: Any) -> str:
    """Return the name of a user as Slack sends it, "somebody" where it has none."""
    names = [user.get(key) for key in ("name", "username", "id")] if isinstance(user, dict) else []
    return next((text for one in names if isinstance(one, str) and (text := clean(one, 80))), "somebody")

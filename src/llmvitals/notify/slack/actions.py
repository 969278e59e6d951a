"""The buttons of a message, and what pressing one means: both ends of what travels through Slack."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from llmvitals.notify.slack.block_limits import utf16
from llmvitals.record.matcher import LONGEST, Matcher
from llmvitals.record.user_action import Acknowledgement, Question, Silence
from llmvitals.window import DAY, HOUR
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.notification import MessageState
    from llmvitals.record.user_action import UserAction

ACK: Final = "llmvitals_ack"
SILENCE: Final = "llmvitals_silence"
CALLS: Final = "llmvitals_calls"
VALUE: Final = 2_000
"""The most that a button may carry, in characters. A menu's choice may carry only 150: it names a LENGTHS."""
LENGTHS: Final = {"1h": HOUR, "8h": 8 * HOUR, "resolved": 30 * DAY}
"""How long a silence lasts (µs); one "until resolved" is bound to its incident and ends at last."""
_CHOICES: Final = {"1h": "1 hour", "8h": "8 hours", "resolved": "Until resolved"}

Block = dict[str, Any]


class ButtonValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a button is about: an incident, and what a silence of it matches."""

    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    matchers: Annotated[tuple[Matcher, ...], msgspec.Meta(max_length=32)] = ()


class ExactMatcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A matcher as a button carries it; what comes back changed must not match more than it did."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    value: Annotated[str, msgspec.Meta(max_length=LONGEST)]
    op: Literal["="] = "="


class _ReceivedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    matchers: Annotated[tuple[ExactMatcher, ...], msgspec.Meta(max_length=32)] = ()


def button_value(state: MessageState) -> tuple[str, bool]:
    """Return the value of a state's buttons ("": it can have none), and whether the state can be silenced."""
    exact = state.matchers and all(matcher.op == "=" for matcher in state.matchers)
    for matchers in [state.matchers, ()] if exact else [()]:
        value = encoded(ButtonValue(state.incident, matchers))
        if value and utf16(value) <= VALUE and parsed_value(value) is not None:
            return value, bool(matchers)
    return "", False


def encoded(value: msgspec.Struct) -> str:
    """Return JSON that comes back from Slack as it was; "" where a text can't be encoded."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return ""
    # Slack reads these, or would escape them itself.
    for char in "&<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def parsed_value(value: object) -> ButtonValue | None:
    """Return what a value that comes back is about; None when it is not ours. It comes from outside."""
    if not isinstance(value, str) or len(value) > VALUE:
        return None
    try:
        received = msgspec.json.decode(value, type=_ReceivedValue)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return ButtonValue(received.incident, tuple(Matcher(m.name, "=", m.value) for m in received.matchers))


def actions(state: MessageState, further: Sequence[Block] = ()) -> list[Block]:
    """Return the block with the buttons that make sense now; none once the incident is resolved.

    further: buttons beside the usual ones.
    """
    value, can_silence = button_value(state)
    if state.status == "resolved" or not value:
        return []
    elements = [*further, _button("Show me the calls", CALLS, value)]
    if can_silence and not state.unheard:
        elements.insert(0, _menu())
    if state.acknowledged is None:
        elements.insert(0, {**_button("Acknowledge", ACK, value), "style": "primary"})
    return [{"type": "actions", "elements": elements}]


def _button(text: str, action: str, value: str) -> Block:
    return {"type": "button", "text": plain(text), "action_id": action, "value": value}


def _menu() -> Block:
    options = [{"text": plain(text), "value": value} for value, text in _CHOICES.items()]
    return {
        "type": "static_select",
        "placeholder": plain("Silence"),
        "action_id": SILENCE,
        "options": options,
    }


def plain(text: str) -> Block:
    """A text without marks."""
    return {"type": "plain_text", "text": text, "emoji": False}


def user_actions(payload: Any, now: int) -> list[UserAction]:
    """Return what a payload of Slack's asks for at `now` (µs), nothing where it is malformed or not ours.

    The same press, delivered twice, gives the same keys.
    """
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return []
    by = user_name(payload.get("user"))
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


def user_name(user: Any) -> str:
    """Return the name of a user as Slack sends it, "somebody" where it has none."""
    names = [user.get(key) for key in ("name", "username", "id")] if isinstance(user, dict) else []
    return next((text for one in names if isinstance(one, str) and (text := clean(one, 80))), "somebody")

"""The buttons of a message, and what pressing one means: both ends of what travels through Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from llmvitals.notify.slack.limits import utf16
from llmvitals.record.matcher import LONGEST, Matcher
from llmvitals.window import DAY, HOUR

if TYPE_CHECKING:
    from llmvitals.record.message_state import MessageState

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


class _ExactMatcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    value: Annotated[str, msgspec.Meta(max_length=LONGEST)]
    op: Literal["="] = "="


class _ReceivedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    matchers: Annotated[tuple[_ExactMatcher, ...], msgspec.Meta(max_length=32)] = ()


def button_value(state: MessageState) -> tuple[str, bool]:
    """Return the value of a state's buttons ("": it can have none), and whether the state can be silenced."""
    exact = state.matchers and all(matcher.op == "=" for matcher in state.matchers)
    for matchers in [state.matchers, ()] if exact else [()]:
        try:
            value = msgspec.json.encode(ButtonValue(state.incident, matchers)).decode()
        except UnicodeEncodeError:
            continue
        # As JSON's own escapes, what Slack reads or would escape itself comes back as it was.
        for char in "&<>":
            value = value.replace(char, f"\\u{ord(char):04x}")
        if utf16(value) <= VALUE and parsed_value(value) is not None:
            return value, bool(matchers)
    return "", False


def parsed_value(value: object) -> ButtonValue | None:
    """Return what a value that comes back is about; None when it is not ours. It comes from outside."""
    if not isinstance(value, str) or len(value) > VALUE:
        return None
    try:
        received = msgspec.json.decode(value, type=_ReceivedValue)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return ButtonValue(received.incident, tuple(Matcher(m.name, "=", m.value) for m in received.matchers))


def actions(state: MessageState) -> list[Block]:
    """Return the block with the buttons that make sense now; none once the incident is resolved."""
    value, can_silence = button_value(state)
    if state.status == "resolved" or not value:
        return []
    elements = [_button("Show me the calls", CALLS, value)]
    if can_silence and not state.unheard:
        elements.insert(0, _menu())
    if state.acknowledged is None:
        elements.insert(0, {**_button("Acknowledge", ACK, value), "style": "primary"})
    return [{"type": "actions", "elements": elements}]


def _button(text: str, action: str, value: str) -> Block:
    return {"type": "button", "text": _plain(text), "action_id": action, "value": value}


def _menu() -> Block:
    options = [{"text": _plain(text), "value": value} for value, text in _CHOICES.items()]
    return {
        "type": "static_select",
        "placeholder": _plain("Silence"),
        "action_id": SILENCE,
        "options": options,
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}

"""What Slack accepts as blocks: the limits of its Block Kit reference, checked as its server does."""

from __future__ import annotations

from typing import Any, Final

BLOCKS: Final = 50
TOTAL: Final = 13_200
"""All texts of a message's blocks together; not documented, found by trying."""

_TEXTS: Final = {"header": 150, "section": 3_000, "button": 75}
_FIELDS: Final = (10, 2_000)
_ELEMENTS: Final = {"context": 10, "actions": 25}
_ACTION_ID: Final = 255


def problems(blocks: object) -> list[str]:
    """Why Slack would answer `invalid_blocks`; empty when it would not."""
    if not isinstance(blocks, list):
        return ["must be an array"]
    found = [f"no more than {BLOCKS} items allowed"] if len(blocks) > BLOCKS else []
    for number, block in enumerate(blocks):
        found += [f"{reason} [json-pointer:/blocks/{number}]" for reason in _block(block)]
    if sum(_size(block) for block in blocks) > TOTAL:
        found.append("msg_blocks_too_long")
    return found


def _block(block: Any) -> list[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    match kind:
        case "divider":
            return []
        case "header":
            return _text(block.get("text"), _TEXTS["header"], only="plain_text")
        case "section":
            return _section(block)
        case "context" | "actions":
            elements = block.get("elements")
            if not isinstance(elements, list) or not 0 < len(elements) <= _ELEMENTS[kind]:
                return [f"{kind} needs 1 to {_ELEMENTS[kind]} elements"]
            return [reason for element in elements for reason in _element(element)]
        case _:
            return [f"unsupported type: {kind}"]


def _section(block: dict[str, Any]) -> list[str]:
    if "text" not in block and "fields" not in block:
        return ["missing required field: text or fields"]
    found = _text(block["text"], _TEXTS["section"]) if "text" in block else []
    fields = block.get("fields", [{"type": "plain_text", "text": "."}])
    if not isinstance(fields, list) or not 0 < len(fields) <= _FIELDS[0]:
        return [*found, f"fields: 1 to {_FIELDS[0]} allowed"]
    return found + [reason for field in fields for reason in _text(field, _FIELDS[1])]


def _element(element: Any) -> list[str]:
    if isinstance(element, dict) and element.get("type") == "button":
        long = len(str(element.get("action_id", ""))) > _ACTION_ID
        return _text(element.get("text"), _TEXTS["button"], only="plain_text") + (
            [f"action_id: no more than {_ACTION_ID} characters"] if long else []
        )
    return _text(element, _TEXTS["section"])


def _text(text: Any, limit: int, *, only: str = "") -> list[str]:
    kinds = {only} if only else {"plain_text", "mrkdwn"}
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return ["unsupported text object"]
    length = utf16(text.get("text"))
    if not 0 < length <= limit:
        return [f"text: 1 to {limit} characters allowed, there are {length}"]
    return []


def utf16(text: object) -> int:
    """A text's length in UTF-16 units, the most that Slack could count; 0 for what is no text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(text, str) else 0


def _size(part: Any) -> int:
    if isinstance(part, dict):
        return utf16(part.get("text")) + sum(map(_size, part.values()))
    return sum(map(_size, part)) if isinstance(part, list) else 0

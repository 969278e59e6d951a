"""What Slack accepts as blocks: the limits of its Block Kit reference, checked as its server does."""

from __future__ import annotations

import math
from typing import Any, Final

BLOCKS: Final = 50
TOTAL: Final = 13_200
"""All texts of a message's blocks together; not documented, found by trying."""

CHART: Final = {"title": 50, "name": 20, "label": 50, "category": 20, "points": 20, "series": 6}
"""The limits of a chart: of its texts in characters, of its points and series in number."""
CHARTS: Final = 2
"""The most charts of a message."""
_TEXTS: Final = {
    "header": 150,
    "section": 3_000,
    "button": 75,
    "placeholder": 150,
    "option": 75,
    "label": 2_000,
}
_FIELDS: Final = (10, 2_000)
_ELEMENTS: Final = {"context": 10, "actions": 25}
_ACTION_ID: Final = 255
_VALUES: Final = {"button": 2_000, "option": 150}
_OPTIONS: Final = 100
_VIEW: Final = {"title": 24, "submit": 24, "close": 24, "private_metadata": 3_000}
_INPUTS: Final = {"number_input", "datetimepicker"}
_STYLES: Final = {"primary", "danger", None}


def problems(blocks: object) -> list[str]:
    """Why Slack would answer `invalid_blocks`; empty when it would not."""
    if not isinstance(blocks, list):
        return ["must be an array"]
    found = [f"no more than {BLOCKS} items allowed"] if len(blocks) > BLOCKS else []
    for number, block in enumerate(blocks):
        found += [f"{reason} [json-pointer:/blocks/{number}]" for reason in _block(block)]
    if (
        sum(isinstance(block, dict) and block.get("type") == "data_visualization" for block in blocks)
        > CHARTS
    ):
        found.append(f"no more than {CHARTS} charts allowed")
    if sum(_size(block) for block in blocks) > TOTAL:
        found.append("msg_blocks_too_long")
    return found


def view_problems(view: object) -> list[str]:
    """Why Slack would not open a modal; empty when it would."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["view: must be a modal"]
    found = _text(view.get("title"), _VIEW["title"], only="plain_text")
    for name in ("submit", "close"):
        found += _text(view[name], _VIEW[name], only="plain_text") if name in view else []
    if utf16(view.get("private_metadata", "")) > _VIEW["private_metadata"]:
        found.append(f"private_metadata: no more than {_VIEW['private_metadata']} characters allowed")
    blocks = view.get("blocks")
    inputs = [block for block in blocks or [] if isinstance(block, dict) and block.get("type") == "input"]
    if inputs and "submit" not in view:
        found.append("submit: a view with inputs needs one")
    for block in inputs:
        found += _text(block.get("label"), _TEXTS["label"], only="plain_text")
        kind = block["element"].get("type") if isinstance(block.get("element"), dict) else None
        found += [] if kind in _INPUTS else [f"unsupported element: {kind}"]
    return found + problems([block for block in blocks or [] if block not in inputs])


def _block(block: Any) -> list[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    match kind:
        case "divider":
            return []
        case "header":
            return _text(block.get("text"), _TEXTS["header"], only="plain_text")
        case "section":
            return _section(block)
        case "data_visualization":
            return _chart(block)
        case "context" | "actions":
            elements = block.get("elements")
            if not isinstance(elements, list) or not 0 < len(elements) <= _ELEMENTS[kind]:
                return [f"{kind} needs 1 to {_ELEMENTS[kind]} elements"]
            found = [reason for element in elements for reason in _element(kind, element)]
            ids = [e["action_id"] for e in elements if isinstance(e, dict) and "action_id" in e]
            return found + ([] if len(ids) == len(set(map(str, ids))) else ["action_id: already exists"])
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


def _chart(block: dict[str, Any]) -> list[str]:
    """Of the kinds of charts only those with axes are checked."""
    chart = block.get("chart")
    if not isinstance(chart, dict) or chart.get("type") not in {"line", "bar", "area"}:
        return ["chart: must be a line, bar or area"]
    axes, series = chart.get("axis_config") or {}, chart.get("series") or []
    categories = axes.get("categories") or []
    found = _short(block, "title", CHART["title"])
    found += [reason for name in ("x_label", "y_label") for reason in _short(axes, name, CHART["label"])]
    found += [
        reason for one in categories for reason in _short({"category": one}, "category", CHART["category"])
    ]
    if not 0 < len(series) <= CHART["series"] or len({one.get("name") for one in series}) < len(series):
        found.append(f"series: 1 to {CHART['series']} of different names allowed")
    for one in series:
        points = one.get("data") or []
        found += _short(one, "name", CHART["name"])
        if not 0 < len(points) <= CHART["points"] or [p.get("label") for p in points] != categories:
            found.append("data: one point for each category needed")
        if not all(isinstance(p.get("value"), int | float) and math.isfinite(p["value"]) for p in points):
            found.append("data: each value must be a number")
    return found


def _element(block: str, element: Any) -> list[str]:
    kind = element.get("type") if isinstance(element, dict) else None
    if block == "context":
        return _text(element, _TEXTS["section"])
    if kind not in {"button", "static_select"}:
        return [f"unsupported element: {kind}"]
    found = _short(element, "action_id", _ACTION_ID)
    if kind == "static_select":
        return found + _menu(element)
    if element.get("style") not in _STYLES:
        found.append("style: must be primary or danger")
    found += _short(element, "value", _VALUES["button"])
    return found + _text(element.get("text"), _TEXTS["button"], only="plain_text")


def _menu(element: dict[str, Any]) -> list[str]:
    options = element.get("options")
    if not isinstance(options, list) or not 0 < len(options) <= _OPTIONS:
        return [f"options: 1 to {_OPTIONS} allowed"]
    found = []
    if "placeholder" in element:
        found += _text(element["placeholder"], _TEXTS["placeholder"], only="plain_text")
    for option in options:
        if not isinstance(option, dict) or "value" not in option:
            return [*found, "options: each needs text and value"]
        found += _text(option.get("text"), _TEXTS["option"]) + _short(option, "value", _VALUES["option"])
    return found


def _short(element: dict[str, Any], name: str, limit: int) -> list[str]:
    value = element.get(name, "x")
    if not isinstance(value, str) or not 0 < utf16(value) <= limit:
        return [f"{name}: 1 to {limit} characters allowed"]
    return []


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

"""Block Kit → HTML that looks like Slack on a phone, for pictures of our messages; only what we use of it."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1d1c1d; font: 16px/1.38 "Liberation Sans", Arial, sans-serif; }
.phone { width: 390px; padding: 12px 14px 14px; }
.sheet { display: grid; grid-template-columns: repeat(4, 390px); gap: 22px; padding: 22px; background: #e9e9ec; align-items: start; width: 1670px; }
.sheet .phone { background: #fff; border-radius: 14px; }
.caption { font: bold 13px "Liberation Sans"; color: #5f5f63; margin: 0 0 10px; text-transform: uppercase; letter-spacing: .06em; }
.message { display: grid; grid-template-columns: 36px 1fr; gap: 10px; }
.message + .message { margin-top: 12px; }
.face { width: 36px; height: 36px; border-radius: 9px; background: #2b6cb0; color: #fff; display: grid; place-items: center; font-weight: bold; }
.who { font-weight: 900; font-size: 15px; } .app { font: 10px "Liberation Sans"; background: #e8e8e8; color: #616061; border-radius: 3px; padding: 1px 3px; vertical-align: 2px; }
.when, .context { color: #616061; font-size: 13px; }
.header { font-weight: 900; font-size: 18px; line-height: 1.3; margin: 4px 0 4px; }
.section { margin: 6px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.context { margin: 5px 0; }
code { background: #f6f6f6; border: 1px solid #dcdcdc; border-radius: 4px; color: #c01343; padding: 0 3px; font: 13px "Liberation Mono", monospace; }
a { color: #1264a3; text-decoration: none; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0 4px; }
.button { border: 1px solid #b9b9bb; border-radius: 9px; padding: 6px 12px; font-weight: bold; font-size: 15px; }
.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
.menu::after { content: " ▾"; color: #616061; }
.chart { border: 1px solid #ddd; border-radius: 8px; padding: 8px 10px; margin: 6px 0; font-size: 14px; }
.chart svg { display: block; }
.thread { margin-top: 8px; padding-left: 10px; border-left: 2px solid #ddd; }
"""


TODAY = datetime(2025, 1, 1, tzinfo=UTC)
"""The day of the samples."""


def marked(text: str) -> str:
    """mrkdwn as Slack shows it, times in UTC. Our own texts have bold, code, links and dates only."""
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"\x00{len(kept) - 1}\x00"

    def angle(found: re.Match[str]) -> str:
        inside = found[1]
        if inside.startswith("!date^"):
            _, seconds, form = inside.split("|")[0].split("^")
            at = datetime.fromtimestamp(int(seconds), UTC)
            day = {0: "today", 1: "tomorrow"}.get((at - TODAY).days, f"{at:%b} {at.day}, {at.year}")
            return keep(form.replace("{date_short_pretty}", day).replace("{time}", f"{at:%H:%M}"))
        if inside.startswith(("!", "@", "#")):
            return keep(f"<mark>{html.escape(inside)}</mark>")  # it would ping somebody: seen at once
        url, _, name = inside.partition("|")
        return keep(f'<a href="{url}">{name or url}</a>')

    text = re.sub(r"<([^<>]+)>", angle, text)
    text = re.sub(r"`([^`\n]+)`", lambda found: keep(f"<code>{found[1]}</code>"), text)
    text = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", text)
    for _ in range(2):
        text = re.sub(r"\x00(\d+)\x00", lambda found: kept[int(found[1])], text)
    return text


def drawn(block: Json) -> str:
    """One block."""
    match block["type"]:
        case "header":
            return f'<div class="header">{_text(block["text"])}</div>'
        case "section":
            texts = [block["text"]] if "text" in block else block["fields"]
            return "".join(f'<div class="section">{_text(text)}</div>' for text in texts)
        case "context":
            return f'<div class="context">{"<br>".join(map(_text, block["elements"]))}</div>'
        case "data_visualization":
            return _chart(block)
        case "actions":
            return f'<div class="actions">{"".join(map(_element, block["elements"]))}</div>'
        case _:
            return "<hr>"


COLOURS = ("#1264a3", "#e01e5a")


def _chart(block: Json) -> str:
    """A line chart, roughly as Slack draws it."""
    series = block["chart"]["series"]
    every = [point["value"] for one in series for point in one["data"]]
    top = max(*every, 0.0) or 1.0
    lines, legend = [], []
    for one, colour in zip(series, COLOURS, strict=False):
        last = max(len(one["data"]) - 1, 1)
        points = " ".join(
            f"{10 + 290 * n / last:.0f},{100 - 90 * point['value'] / top:.0f}"
            for n, point in enumerate(one["data"])
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        legend.append(f'<span style="color:{colour}">● {html.escape(one["name"])}</span>')
    axes = block["chart"]["axis_config"]
    below = html.escape(f"{axes.get('y_label', '')}, {axes.get('x_label', '')}")
    return (
        f'<div class="chart"><b>{html.escape(block["title"])}</b><svg width="310" height="106">'
        '<line x1="10" y1="100" x2="300" y2="100" stroke="#ddd"/>'
        f'{"".join(lines)}</svg><div class="context">{" ".join(legend)} · {below}</div></div>'
    )


def message(text: str, blocks: list[Json], *, when: str = "1:00 PM") -> str:
    """One message with its sender; the text where there are no blocks."""
    inside = "".join(map(drawn, blocks)) or f'<div class="section">{marked(text)}</div>'
    head = f'<span class="who">llmvitals</span> <span class="app">APP</span> <span class="when">{when}</span>'
    return f'<div class="message"><div class="face">▲</div><div>{head}{inside}</div></div>'


def phone(name: str, messages: list[str], *, captioned: bool = False) -> str:
    """A column as wide as a phone."""
    caption = f'<p class="caption">{name.replace("_", " ")}</p>' if captioned else ""
    return f'<div class="phone" id="{name}">{caption}{"".join(messages)}</div>'


def page(inside: str) -> str:
    """A whole document."""
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body>{inside}</body>'


def _text(text: Json) -> str:
    # Both kinds come escaped.
    return marked(text["text"]) if text["type"] == "mrkdwn" else text["text"]


def _element(element: Json) -> str:
    if element["type"] == "static_select":
        return f'<span class="button menu">{_text(element["placeholder"])}</span>'
    return f'<span class="button {element.get("style", "")}">{_text(element["text"])}</span>'

"""Alert → Slack message: pure. What is said (`Notice`) is apart from how Slack wants it (`blocks`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from llmvitals.notify.wording import clean, escape, moment
from llmvitals.record.quantity import amount, percent, span
from llmvitals.record.view import UNKNOWN
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Alert, Heavy

HEADER: Final = 150
HEAVIEST: Final = "Heaviest, last minutes"
"""They are those of the last 10 to 20 minutes, however long the alert's own window is."""
FIELDS: Final = 10
_SUMMARY: Final = 1_500
_NAME: Final = 60
_URL: Final = 1_000
_CIRCLES: Final = {"green": "🟢", "red": "🔴", "orange": "🟠", "blue": "🔵"}
_SEVERITIES: Final = {"critical": "red", "page": "red", "error": "red", "info": "blue"}
_LINK: Final = re.compile(r"https?://[^\s/]+", re.IGNORECASE)

Block = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a message says, in clean texts that are not yet escaped.

    colour: red, orange, blue, or green once resolved. facts, labels: (name, value). times: (name, µs since
    1970). heaviest: (kind, name, what it used). link: an http(s) URL without characters that Slack reads.
    level: the threshold that was passed ("80%"), or "".
    """

    colour: str
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, str], ...]
    heaviest: tuple[tuple[str, str, str], ...]
    exemplars: tuple[str, ...]
    link: str
    footer: str
    level: str = ""

    @property
    def resolved(self) -> bool:
        """Whether the incident is over."""
        return self.colour == "green"


def notice(alert: Alert) -> Notice:
    """What there is to say about an alert's present state."""
    over = alert.status == "resolved"
    colour = "green" if over else _SEVERITIES.get(alert.severity.lower(), "orange")
    word = "Resolved" if over else clean(alert.severity, 20).capitalize() or "Alert"
    return Notice(
        colour=colour,
        title=f"{_CIRCLES[colour]} {word}: {clean(alert.rule, 100)}",
        summary=clean(alert.summary, _SUMMARY),
        facts=tuple(_facts(alert)),
        times=(("Since", alert.since), ("Resolved", _end(alert))) if over else (("Since", alert.since),),
        labels=tuple(_labels(alert.labels)),
        heaviest=tuple(_heavy(heavy) for heavy in alert.heaviest[:5]),
        exemplars=tuple(clean(exemplar, 80) for exemplar in alert.exemplars[:5]),
        link=_link(alert.annotations.get("runbook_url", "")),
        footer=f"{clean(alert.kind, 20)} · incident {clean(alert.episode, 80)}",
        level=clean(alert.level, 20),
    )


def threshold(level: str) -> float:
    """How high a level is: 80.0 for "80%", 0.0 for what is no number."""
    try:
        return float(level.rstrip("% ") or 0)
    except ValueError:
        return 0.0


def fallback(said: Notice) -> str:
    """One line for notifications, and for when Slack refuses the blocks; escaped."""
    labels = ", ".join(f"{name} {value}" for name, value in said.labels)
    parts = [said.title, said.facts[0][1], labels, said.summary, f"since {moment(said.times[0][1])}"]
    return escape(" · ".join(part for part in parts if part), 1_000)


def blocks(said: Notice) -> list[Block]:
    """Block Kit, inside every limit of Slack's (header 150, section 3,000, 10 fields, all about 13,200).

    The limits hold by construction, each text being cut where it comes in. No value of a user's call
    reaches Slack with a raw `<`, `>` or `&`.
    """
    facts = [_field(name, escape(value, 300)) for name, value in said.facts]
    facts += [_field(name, _date(time)) for name, time in said.times]
    drawn: list[Block] = [
        {"type": "header", "text": _plain(escape(said.title, HEADER))},
        *([{"type": "section", "text": _plain(escape(said.summary, 2_900))}] if said.summary else []),
        {"type": "section", "fields": facts},
    ]
    if said.labels:
        drawn.append({"type": "section", "fields": [_field(n, _code(v)) for n, v in said.labels]})
    if said.heaviest:
        lines = [
            f"{rank}. {escape(kind, 60)} {_code(name)} · {used}"
            for rank, (kind, name, used) in enumerate(said.heaviest, 1)
        ]
        drawn.append({"type": "section", "text": _marked(f"*{HEAVIEST}*\n" + "\n".join(lines))})
    if said.exemplars:
        calls = " ".join(map(_code, said.exemplars))
        drawn.append({"type": "section", "text": _marked(f"*Calls to look at*\n{calls}")})
    if said.link:
        drawn.append({"type": "section", "text": _marked(f"<{escape(said.link, _URL * 5)}|Runbook>")})
    drawn.append({"type": "context", "elements": [_plain(escape(said.footer, 300))]})
    return drawn


def _facts(alert: Alert) -> Sequence[tuple[str, str]]:
    value, limit = amount(alert.value, alert.unit), amount(alert.limit, alert.unit)
    if alert.kind == "budget":
        text = " · ".join(filter(None, (f"{value} of {limit}", percent(alert.value, alert.limit))))
    else:
        text = f"{value} · limit {limit}"
    facts = [(clean(alert.metric.replace("_", " "), 40).capitalize() or "Value", text)]
    if alert.level and alert.status == "firing":
        facts.append(("Passed", clean(alert.level, 20)))
    if alert.window:
        facts.append(("Window", clean(alert.window, 40)))
    if alert.status == "resolved":
        facts.append(("Lasted", span(_end(alert) - alert.since)))
    return facts


def _end(alert: Alert) -> int:
    return alert.at if alert.until is None else alert.until


def _labels(labels: dict[str, str]) -> Sequence[tuple[str, str]]:
    shown = [(clean(name, _NAME), clean(value) or UNKNOWN) for name, value in labels.items()]
    if len(shown) > FIELDS:
        return [*shown[: FIELDS - 1], ("and", f"{len(shown) - FIELDS + 1} more labels")]
    return shown


def _heavy(heavy: Heavy) -> tuple[str, str, str]:
    used = (
        f"{amount(heavy.cost_nano / 1e9, 'usd')} · {amount(heavy.calls, 'count')} calls"
        f" · {amount(heavy.tokens, 'tokens')}"
    )
    return clean(heavy.kind, 20), clean(heavy.name, 100) or UNKNOWN, used


def _link(url: str) -> str:
    # Percent-encoding what Slack or a terminal would read: < > | ` " and all that is not ASCII.
    inert = quote(clean(url, _URL), safe=":/?#[]@!$&'()*+,;=%~-._")
    return inert if len(inert) <= _URL and _LINK.match(inert) else ""


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _marked(text: str) -> Block:
    # verbatim: Slack shall not make links and mentions out of what looks like one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _field(name: str, marked: str) -> Block:
    return _marked(f"*{escape(name, 80)}*\n{marked}")


def _code(value: str) -> str:
    return f"`{escape(value.replace('`', chr(39)), 300)}`"


def _date(micros: int) -> str:
    # Slack shows it in each reader's own time zone.
    text = moment(micros)
    return text if text == UNKNOWN else f"<!date^{micros // SECOND}^{{date_short_pretty}} {{time}}|{text}>"

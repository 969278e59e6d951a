"""Web addresses in messages: what they are filled with can't lead elsewhere. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from llmvitals.record.view import UNKNOWN
from llmvitals.window import HOUR, MINUTE
from llmvitals.wording import clean, escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.notification import MessageState

BEFORE: Final = HOUR
"""How much of the time before an incident its dashboard shows, µs."""
AFTER: Final = 15 * MINUTE
"""The same for the time after its end, or after its newest alert."""
_URL: Final = 1_000
_TRACE_URL: Final = 350
_LINK: Final = re.compile(r"https?://[^\s/]+", re.IGNORECASE)
_NAME: Final = re.compile(r"\{([^{}]*)\}")


def linked(trace: str, trace_url: str) -> tuple[str, str]:
    """Return a trace's id, and its link ("" where none is set)."""
    shown = clean(trace, 80) or UNKNOWN
    url = trace_url.replace("{trace_id}", quote(shown, safe="")) if trace_url else ""
    return shown, link(url, _TRACE_URL)


def dashboard(state: MessageState, labels: Mapping[str, str], template: str) -> str:
    """Return the web page with the metrics of an incident; "" without a template, see the setting.

    labels: what all its alerts share; a label that they don't is empty.
    """
    if not template:
        return ""
    end = max((alert.at for alert in state.alerts), default=state.since)
    end = max(state.until or end, state.since)
    rule = state.chief.rule if state.number_of_rules == 1 else ""
    times = {"from": (state.since - BEFORE) // 1_000, "to": (end + AFTER) // 1_000}
    known = {**labels, "rule": rule, **{name: str(max(time, 0)) for name, time in times.items()}}
    return link(_NAME.sub(lambda name: quote(clean(known.get(name[1], ""), 80), safe=""), template))


def link(url: str, most: int = _URL) -> str:
    """Return a web address without characters that Slack or a terminal would read; "" for what is none."""
    # Percent-encoding what Slack or a terminal would read: < > | ` " and all that is not ASCII.
    inert = quote(clean(url, _URL), safe=":/?#[]@!$&'()*+,;=%~-._")
    return inert if len(escape(inert, 10_000)) <= most and _LINK.match(inert) else ""

"""Message state → what the message says, most important first. Pure; each notifier draws it its own way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from llmvitals.metrics.quantity import amount, span
from llmvitals.metrics.words import FACETS, STATISTICS
from llmvitals.notify.figure import figure, metric, named, noted, sparkline
from llmvitals.notify.listing import AlertLines, common, listed
from llmvitals.record.message_state import MOST
from llmvitals.record.view import UNKNOWN
from llmvitals.wording import SEVERITIES, clean, escape, moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.record.alert import Alert, Heavy
    from llmvitals.record.message_state import MessageState

HEAVIEST: Final = "Top spenders, last 20 min"
"""They are those of the last 10 to 20 minutes, however long the alert's own window is."""
LABELS: Final = 10
CIRCLES: Final = {"green": "🟢", "red": "🔴", "orange": "🟠", "blue": "🔵"}
_SUMMARY: Final = 800
_CAUSE: Final = 500
_NAME: Final = 60
_URL: Final = 1_000
_TRACE_URL: Final = 350
_STEERS: Final = {"block": "⛔ Calls are blocked", "warn": "⚠️ Callers are warned"}
_LINK: Final = re.compile(r"https?://[^\s/]+", re.IGNORECASE)

Timed = tuple[str, int | None]
"""A text, and a time (µs since 1970) that belongs behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a message says, in clean texts that are not yet escaped.

    colour: red, orange, blue, or green once resolved. state: who looks after it, what mutes it.
    figure: the value against its limit; trend: how it went, as bars. steer: what it means for calls. labels:
    those of all its alerts. times: since when, until when. words: sentences. lists: its alerts, where there
    are several; more: how many are not among them. heaviest: (kind, name, what it used). exemplars: (id,
    link or ""). link: the runbook, an http(s) URL without characters that Slack reads.
    """

    colour: str
    title: str
    state: tuple[Timed, ...] = ()
    figure: str = ""
    trend: str = ""
    steer: Timed | None = None
    lasted: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    times: tuple[Timed, ...] = ()
    words: tuple[str, ...] = ()
    lists: tuple[AlertLines, ...] = ()
    more: int = 0
    heaviest: tuple[tuple[str, str, str], ...] = ()
    exemplars: tuple[tuple[str, str], ...] = ()
    link: str = ""
    footer: str = ""


def notice(state: MessageState, *, trace_url: str = "") -> Notice:
    """Return what there is to say about an incident's present state; trace_url: see the setting."""
    alert, over, many = state.chief, state.status == "resolved", state.total > 1
    colour = "green" if over else _colour(alert)
    one = {} if many else _alone(state, trace_url)
    lists = listed(state, {one.episode: _colour(one) for one in state.alerts}) if many else ()
    return Notice(
        colour=colour,
        title=f"{CIRCLES[colour]} {_title(state)}",
        state=tuple(_state(state)),
        lasted=span((state.until or alert.at) - state.since) if over else "",
        labels=tuple(labelled(common(state.alerts).items())),
        times=tuple(_times(state)),
        words=tuple(word for word in _words(state) if word),
        lists=lists,
        more=max(state.total - min(len(state.alerts), MOST), 0) if many else 0,
        link="" if state.digest else _link(alert.annotations.get("runbook_url", "")),
        footer=" · ".join(_footer(state)),
        **one,
    )


def _alone(state: MessageState, trace_url: str) -> dict[str, Any]:
    """What only the message of a single alert has."""
    alert = state.chief
    return {
        "figure": _figure(alert),
        "trend": sparkline(alert.trend),
        "steer": _steer(alert),
        "heaviest": tuple(_heavy(heavy) for heavy in alert.heaviest[:3]),
        "exemplars": tuple(linked(trace, trace_url) for trace in alert.exemplars[:5]),
    }


def _steer(alert: Alert) -> Timed | None:
    steer = _STEERS.get(alert.verdict)
    if steer is None or alert.status == "resolved":
        return None
    return (f"{steer} until", alert.ends) if alert.verdict == "block" and alert.ends else (steer, None)


def _figure(alert: Alert) -> str:
    if alert.bound == "budget":
        return figure(alert)
    words = STATISTICS.get(alert.metric)
    levelled = alert.status == "firing" and (words is None or words.levelled)
    level = clean(alert.level, 20) if levelled else ""
    name = named(alert) if words is None or words.named else ""
    return " · ".join(filter(None, (f"{name} {figure(alert)}".strip(), level)))


def linked(trace: str, trace_url: str) -> tuple[str, str]:
    """Return a trace's id, and its link ("" where none is set)."""
    shown = clean(trace, 80) or UNKNOWN
    url = trace_url.replace("{trace_id}", quote(shown, safe="")) if trace_url else ""
    return shown, _link(url, _TRACE_URL)


def _title(state: MessageState) -> str:
    rule, over = clean(state.chief.rule, 80), state.status == "resolved"
    if state.digest:
        return f"{'Resolved' if over else 'Digest'}: {_count(state)}"
    word = "Resolved" if over else clean(state.chief.severity, 20).capitalize() or "Alert"
    about = _count(state) if state.total > 1 else FACETS.get(state.chief.facet, clean(state.chief.facet, 20))
    return f"{word}: {rule}" + (f" · {about}" if about else "")


def _count(state: MessageState) -> str:
    if state.status == "firing" and state.firing < state.total:
        return f"{state.firing:,} of {state.total:,} alerts"
    return f"{state.total:,} alerts"


def _times(state: MessageState) -> Iterable[Timed]:
    yield "since", state.since
    ends = state.chief.ends
    if state.status == "firing" and state.total == 1 and ends is not None and state.chief.verdict != "block":
        yield "period ends", ends


def _state(state: MessageState) -> Iterable[Timed]:
    if state.status == "resolved":
        return
    if state.again is not None and state.again > state.since:
        yield f"⏳ Still firing, {span(state.again - state.since)}", None
    if state.acknowledged is not None:
        who, when = state.acknowledged
        yield f"👀 Acknowledged by {clean(who, 80) or UNKNOWN},", when
    for mute in state.unheard:
        reason = f"🔕 {_capital(clean(mute.reason, 200))}"
        yield (reason, None) if mute.until is None else (f"{reason} until", mute.until)


def _words(state: MessageState) -> Iterable[str]:
    """Sentences: those of the rule's author, why, and what the detector adds.

    A summary that is none of the author's says again what the figure and the labels say.
    """
    alert = state.chief
    if state.late is not None:
        yield _late(*state.late)
    if state.digest:
        yield "Many alerts began at once: this message is about all of them."
        return
    own = "summary" in alert.annotations
    if state.total == 1 and own:
        yield clean(alert.summary, _SUMMARY)
    yield _capital(clean(alert.reason, _CAUSE))
    if not (state.total > 1 and noted(alert)) and (not own or alert.note not in alert.summary):
        yield _capital(clean(alert.note, _CAUSE))
    if cause := clean(alert.cause.replace("`", ""), _CAUSE):
        of = ", ".join(value for name, value in alert.labels.items() if name not in common(state.alerts))
        yield f"Why{f' ({clean(of, 80)})' if of else ''}: {cause}"


def _late(until: int, missed: int) -> str:
    late = f"Sent late: llmvitals was down or behind until {moment(until)}"
    if not missed:
        return f"{late}."
    return f"{late}; {missed:,} other alert{'' if missed == 1 else 's'} began and ended meanwhile."


def _footer(state: MessageState) -> Iterable[str]:
    if not state.digest:
        yield metric(state.chief)
    yield f"incident {clean(state.incident, 80)}"


def _colour(alert: Alert) -> str:
    return "green" if alert.status == "resolved" else SEVERITIES.get(alert.severity.lower(), "orange")


def labelled(labels: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return clean names and values, at most LABELS of them."""
    shown = [(clean(name, _NAME), clean(value, 80) or UNKNOWN) for name, value in labels]
    if len(shown) > LABELS:
        return [*shown[: LABELS - 1], ("and", f"{len(shown) - LABELS + 1} more labels")]
    return shown


def _heavy(heavy: Heavy) -> tuple[str, str, str]:
    used = [amount(heavy.cost_nano / 1e9, "usd")] if heavy.cost_nano else []
    used.append(f"{amount(heavy.calls, 'count')} call{'' if heavy.calls == 1 else 's'}")
    if not heavy.cost_nano and heavy.tokens:
        used.append(amount(heavy.tokens, "tokens"))
    return clean(heavy.kind, 20), clean(heavy.name, 80) or UNKNOWN, " · ".join(used)


def _link(url: str, most: int = _URL) -> str:
    # Percent-encoding what Slack or a terminal would read: < > | ` " and all that is not ASCII.
    inert = quote(clean(url, _URL), safe=":/?#[]@!$&'()*+,;=%~-._")
    return inert if len(escape(inert, 10_000)) <= most and _LINK.match(inert) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Message state → what the message says, most important first. Pure; each notifier draws it its own way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from llmvitals.metrics.quantity import amount, span
from llmvitals.notify.figure import closed, metric, timed, trend
from llmvitals.notify.headline import detail, headline, untold
from llmvitals.notify.listing import AlertLines, common, listed
from llmvitals.notify.title import authored, one_series, title
from llmvitals.record.notification import MOST
from llmvitals.record.view import UNKNOWN
from llmvitals.window import HOUR, MINUTE
from llmvitals.wording import SEVERITIES, clean, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.notify.figure import Sentence, Timed
    from llmvitals.record.alert import Alert, Heavy
    from llmvitals.record.notification import MessageState

BEFORE: Final = HOUR
"""How much of the time before an incident its dashboard shows, µs."""
AFTER: Final = 15 * MINUTE
"""The same for the time after its end, or after its newest alert."""
_URL: Final = 1_000
_TRACE_URL: Final = 350
_LINK: Final = re.compile(r"https?://[^\s/]+", re.IGNORECASE)
_PLACE: Final = re.compile(r"\{([^{}]*)\}")

HEAVIEST: Final = "{who}{of}, last 20 min"
"""They are those of the last 10 to 20 minutes, however long the alert's own window is."""
LABELS: Final = 10
CIRCLES: Final = {"green": "🟢", "red": "🔴", "orange": "🟠", "blue": "🔵", "grey": "⚫"}
_SUMMARY: Final = 800
_CAUSE: Final = 500
_NAME: Final = 60
_ERROR: Final = "error"
_ERROR_NAME: Final = 140
"""As long as Slack shows it: the app comes last."""
_STEERS: Final = {"block": "⛔ Calls are blocked", "warn": "⚠️ Callers are warned"}


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
    return link(_PLACE.sub(lambda name: quote(clean(known.get(name[1], ""), 80), safe=""), template))


def link(url: str, most: int = _URL) -> str:
    """Return a web address without characters that Slack or a terminal would read; "" for what is none."""
    # Percent-encoding what Slack or a terminal would read: < > | ` " and all that is not ASCII.
    inert = quote(clean(url, _URL), safe=":/?#[]@!$&'()*+,;=%~-._")
    return inert if len(escape(inert, 10_000)) <= most and _LINK.match(inert) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a message says, in clean texts that are not yet escaped.

    colour: red, orange, blue, grey for a budget that was overspent when its period ended, else green once
    resolved. title: what is wrong, behind a circle of that colour. about: the severity, the rule, what is
    measured. state: who looks after it, what mutes it. headline: the value against its limit; detail: what
    belongs to it; trend: how it went, as bars. steer: what it means for calls. labels: those of all its
    alerts. times: since when. words: sentences. lists: its alerts, where there are several; more: how many
    are not among them. heaviest: (kind or "", name, what it used), below their heading. exemplars: (id,
    link or ""). mention: who is mentioned, see Route. link: the runbook, an http(s) URL without characters
    that Slack reads.
    """

    colour: str
    title: str
    about: str = ""
    state: tuple[Timed, ...] = ()
    headline: tuple[Timed, ...] = ()
    detail: tuple[Timed, ...] = ()
    trend: str = ""
    steer: Timed | None = None
    labels: tuple[tuple[str, str], ...] = ()
    times: tuple[Timed, ...] = ()
    words: tuple[Sentence, ...] = ()
    lists: tuple[AlertLines, ...] = ()
    more: int = 0
    heaviest: tuple[tuple[str, str, str], ...] = ()
    heading: str = ""
    exemplars: tuple[tuple[str, str], ...] = ()
    mention: tuple[str, ...] = ()
    link: str = ""
    dashboard: str = ""
    footer: str = ""


def notice(state: MessageState, *, trace_url: str = "", dashboard_url: str = "") -> Notice:
    """Return what there is to say about an incident's present state; for the URLs see the settings."""
    alert, over = state.chief, state.status == "resolved"
    single, many = state.total == 1 or one_series(state), state.total + len(state.muted) > 1
    colour = _ended(state) if over else _colour(alert)
    lasted = (state.until or alert.at) - state.since
    one = _alone(state, trace_url, lasted) if single and not state.digest else {}
    if over and not one:
        one = {"headline": ((f"Lasted {span(lasted)}", None),)}
    lists = listed(state, {one.episode: _colour(one) for one in state.alerts}) if many else ()
    return Notice(
        colour=colour,
        title=f"{CIRCLES[colour]} {title(state)}",
        about=" · ".join(filter(None, _about(state))),
        state=tuple(_state(state)),
        labels=tuple(labelled(_shared(state))),
        times=tuple(_times(state)),
        words=tuple(word for word in _words(state) if any(text for text, _ in word)),
        lists=lists,
        more=max(state.total + len(state.muted) - min(len(state.alerts), MOST), 0) if many else 0,
        link="" if state.digest else link(alert.annotations.get("runbook_url", "")),
        heaviest=() if state.digest else tuple(_heavy(heavy) for heavy in alert.heaviest[:3]),
        heading=_heading(state),
        mention=state.mention,
        dashboard=dashboard(state, common(state.alerts), dashboard_url),
        footer=f"incident {clean(state.incident, 80)}",
        **one,
    )


def _alone(state: MessageState, trace_url: str, lasted: int) -> dict[str, Any]:
    """What only the message about a single series has; lasted: µs."""
    alert = state.chief
    return {
        "headline": headline(alert, lasted),
        "detail": detail(alert),
        "trend": trend(alert),
        "steer": _steer(alert),
        "exemplars": tuple(linked(trace, trace_url) for trace in alert.exemplars[:5]),
    }


def _steer(alert: Alert) -> Timed | None:
    steer = _STEERS.get(alert.verdict)
    if steer is None or alert.status == "resolved":
        return None
    return (f"{steer} until", alert.ends) if alert.verdict == "block" and alert.ends else (steer, None)


def _about(state: MessageState) -> Iterable[str]:
    yield clean(state.chief.severity, 20)
    if state.number_of_rules == 1:
        yield clean(state.chief.rule, 80)
        yield metric(state.chief)


def _shared(state: MessageState) -> list[tuple[str, str]]:
    """The labels of all its alerts, without the severity, which stands beside the rule."""
    return [(name, value) for name, value in common(state.alerts).items() if name != "severity"]


def _times(state: MessageState) -> Iterable[Timed]:
    yield "since", state.since
    newest = max(alert.at for alert in state.alerts)
    if state.status == "firing" and newest >= state.since + MINUTE:
        yield "as of", newest
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


def _words(state: MessageState) -> Iterable[Sentence]:
    """Sentences: why, and what the detector adds; of an author's summary what the title has no room for."""
    alert = state.chief
    if state.late is not None:
        yield _late(*state.late)
    if state.digest:
        yield (("Many alerts began at once: this message is about all of them.", None),)
        return
    single, own, said = state.total == 1 or one_series(state), authored(alert), title(state)
    if single and own and clean(alert.summary, _SUMMARY) not in said:
        yield ((clean(alert.summary, _SUMMARY), None),)
    yield ((_capital(clean(alert.reason, _CAUSE)), None),)
    if single:
        note = clean(untold(alert, said), _CAUSE)
        if not (own and note in alert.summary):
            yield timed(_capital(note), alert.at)
    if cause := clean(alert.cause.replace("`", ""), _CAUSE):
        of = _apart(state)
        yield timed(f"Why{f' ({of})' if of else ''}: {cause}", alert.at)


def _apart(state: MessageState) -> str:
    """What tells the chief alert apart from the others; "" for one that is alone."""
    shared = common(state.alerts)
    return clean(", ".join(value for name, value in state.chief.labels.items() if name not in shared), 80)


def _late(until: int, missed: int) -> Sentence:
    more = f"; {missed:,} other alert{'' if missed == 1 else 's'} began and ended meanwhile" if missed else ""
    return (("Sent late: llmvitals was down or behind until", until), (f"{more}.", None))


def _ended(state: MessageState) -> str:
    return "grey" if any(closed(alert) and alert.overspent for alert in state.alerts) else "green"


def _colour(alert: Alert) -> str:
    return "green" if alert.status == "resolved" else SEVERITIES.get(alert.severity.lower(), "orange")


def labelled(labels: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return clean names and values, at most LABELS of them."""
    shown = [(clean(name, _NAME), clean(value, 80) or UNKNOWN) for name, value in labels]
    if len(shown) > LABELS:
        return [*shown[: LABELS - 1], ("and", f"{len(shown) - LABELS + 1} more labels")]
    return shown


def _heavy(heavy: Heavy) -> tuple[str, str, str]:
    calls = f"{amount(heavy.calls, 'count')} call{'' if heavy.calls == 1 else 's'}"
    if heavy.kind == _ERROR:
        return "", clean(heavy.name, _ERROR_NAME) or UNKNOWN, calls
    used = [amount(heavy.cost_nano / 1e9, "usd")] if heavy.cost_nano else []
    used.append(calls)
    if not heavy.cost_nano and heavy.tokens:
        used.append(amount(heavy.tokens, "tokens"))
    return clean(heavy.kind, 20), clean(heavy.name, 80) or UNKNOWN, " · ".join(used)


def _heading(state: MessageState) -> str:
    errors = any(heavy.kind == _ERROR for heavy in state.chief.heaviest)
    of = _apart(state)
    return HEAVIEST.format(who="Errors" if errors else "Top spenders", of=f" of {of}" if of else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

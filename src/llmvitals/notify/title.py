"""What is wrong, in words: the title of a message. The numbers are in its headline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import percent
from llmvitals.metrics.words import BUDGETS, FACETS, PERIODS, SUBJECTS, TITLES
from llmvitals.notify.figure import closed, named
from llmvitals.record.reading import NO_DATA
from llmvitals.wording import clean

if TYPE_CHECKING:
    from llmvitals.record.alert import Alert
    from llmvitals.record.notification import MessageState

_LONGEST: Final = 140
_SINCE: Final = re.compile(r" since [^;]*")
_DETAILS: Final = re.compile(r" \(|; ")


def title(state: MessageState) -> str:
    """Return what is wrong, and "Resolved: " before it once it no longer is."""
    over = state.status == "resolved"
    if state.total == 1 or (not state.digest and one_series(state)):
        text = wrong(state.chief)
        ended = closed(state.chief) and not authored(state.chief)
    else:
        text, ended = _many(state), False
    return f"Resolved: {text}" if over and not ended else text


def wrong(alert: Alert) -> str:
    """Return what is wrong with one series: the author's summary, else the words of its kind."""
    if authored(alert):
        return clean(alert.summary, _LONGEST)
    text, name = clean(_words(alert) or alert.summary or alert.rule, _LONGEST), place(alert)
    return text if name and text.startswith(name) else text[:1].upper() + text[1:]


def authored(alert: Alert) -> bool:
    """Whether the summary is that of the rule's author, and not the default one of its kind."""
    if "summary" not in alert.annotations or alert.level == NO_DATA:
        return False
    # Alerts of a facet have the default one there, unless the author's has the note.
    return not alert.facet or bool(alert.note and alert.note in alert.summary)


def one_series(state: MessageState) -> bool:
    """Whether all its alerts are of one rule and series, such as a budget's thresholds and its burn rate."""
    known = {alert.fingerprint for alert in state.alerts}
    return len(known) == 1 and state.total <= len(state.alerts)


def place(alert: Alert) -> str:
    """Return the values of the series, such as `answer, gpt-5`; "" for all calls."""
    pairs = [(name, clean(value, 60)) for name, value in alert.labels.items() if value]
    # A default summary names the series; the other labels are the rule's own.
    series = [value for name, value in pairs if f"{name}={value}" in alert.summary]
    return ", ".join(series or [value for _, value in pairs][:2])


def first_part(note: str) -> str:
    """Return a note up to its first bracket or semicolon."""
    return _DETAILS.split(note)[0]


def _many(state: MessageState) -> str:
    blocked, rules = state.number_blocked, state.number_of_rules
    if blocked and not state.digest and rules == 1:
        names = sorted({name for alert in state.alerts for name in _own(alert, state)})
        what = plural(clean(names[0], 40), blocked) if len(names) == 1 else plural("budget", blocked)
        return f"{blocked:,} {what} {'is' if blocked == 1 else 'are'} blocked"
    number = count(state)
    if rules > 1:
        return f"{number} of {rules:,} {plural('rule', rules)}"
    differ = dict.fromkeys(name for alert in state.alerts for name in _own(alert, state))
    of = ", ".join(clean(name, 40) for name in differ)
    return f"{number}: {_subject(state.chief)}" + (f" of {of}" if of else "")


def count(state: MessageState) -> str:
    """Return how many alerts there are, and how many of them fire."""
    if state.status == "firing" and state.firing < state.total:
        return f"{state.firing:,} of {state.total:,} alerts"
    return f"{state.total:,} {plural('alert', state.total)}"


def plural(word: str, number: int) -> str:
    """A noun for a number of things."""
    return word if number == 1 or word.endswith("s") else f"{word}s"


def _own(alert: Alert, state: MessageState) -> list[str]:
    """The labels that not all alerts share."""
    return [
        name
        for name, value in alert.labels.items()
        if any(other.labels.get(name) != value for other in state.alerts)
    ]


def _subject(alert: Alert) -> str:
    if alert.bound == "budget":
        return budget(alert)
    if alert.level == NO_DATA:
        return "too few calls"
    return SUBJECTS.get(alert.kind) or named(alert).lower()


def budget(alert: Alert) -> str:
    """Return what a budget is called: `monthly budget`, `24h budget of tokens`."""
    of = "" if alert.metric == "cost" else f" of {clean(alert.metric, 20)}"
    period = PERIODS.get(alert.window, clean(alert.window, 20))
    return f"{period} budget{of}".strip()


def _words(alert: Alert) -> str:
    """The words of its kind, which do not repeat the headline; "" where it has none."""
    where, be = place(alert), "was" if alert.status == "resolved" else "is"
    of = f" of {where}" if where else ""
    if alert.level == NO_DATA:
        return f"Too few calls{of} to decide"
    if alert.bound == "budget":
        return _budget(alert, where, be)
    words = TITLES.get(alert.kind, "")
    if "{note}" in words and not alert.note:
        return ""
    note = first_part(alert.note)
    changes = _SINCE.sub("", alert.note)
    places = {"of": of, "where": where, "every": where or "All calls"}
    found = {
        "name": named(alert),
        "side": _side(alert),
        "level": alert.level,
        "note": note,
        "changes": changes,
    }
    return words.format(be=be, **places, **found).strip()


def _side(alert: Alert) -> str:
    # What is over and knows no peak is back on the good side.
    back = alert.status == "resolved" and alert.worst == alert.value
    return "high" if (alert.worst > alert.limit) is not back else "low"


def _budget(alert: Alert, where: str, be: str) -> str:
    part = f"{alert.height:g} %" if alert.height else percent(alert.value, alert.limit)
    all_of_it = alert.height >= 100 or (not alert.height and not alert.value < alert.limit)
    share = "all" if all_of_it else part or "a part"
    if alert.facet in FACETS:
        words = BUDGETS[alert.facet]
    elif closed(alert):
        words = BUDGETS["overspent" if alert.overspent else "kept"]
    else:
        words = BUDGETS["blocked" if alert.verdict == "block" and be == "is" else ""]
    return words[0 if where else 1].format(where=where, be=be, name=budget(alert), share=share)

"""The number that matters, by kind of alert, and what belongs below it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.metrics.quantity import amount, span
from llmvitals.metrics.words import LIMIT_IN_NOTE, STATISTICS
from llmvitals.notify.figure import bound, closed, figure, named, number, value, worst
from llmvitals.notify.title import first_part
from llmvitals.record.alert import Outlook
from llmvitals.record.reading import NO_DATA
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.notify.figure import Timed
    from llmvitals.record.alert import Alert


def headline(alert: Alert, lasted: int) -> tuple[Timed, ...]:
    """Return the value against its limit, or how long it lasted (µs) and its peak once it is over."""
    if alert.status == "resolved":
        return tuple((text, None) for text in _over(alert, lasted))
    if alert.bound == "budget":
        return tuple(_budget(alert))
    return tuple((text, None) for text in _now(alert) if text)


def detail(alert: Alert) -> tuple[Timed, ...]:
    """Return what the headline leaves out: a budget's pace, a forecast's interval, calls without a price."""
    found = tuple(_pace(alert)) if alert.bound == "budget" and alert.status == "firing" else ()
    if alert.unpriced and alert.unpriced[0]:
        without, calls = alert.unpriced
        return (*found, (f"{without:,} of {calls:,} calls have no price", None))
    return found


def untold(alert: Alert, title: str) -> str:
    """Return the part of an alert's note that neither the title nor the headline says."""
    outlook = alert.outlook or Outlook()
    if alert.facet == "burn" and (outlook.exhausted is not None or outlook.expected is not None):
        return alert.note.partition(":")[0]
    told = alert.facet == "forecast" and outlook.expected is not None
    if told or (closed(alert) and alert.overspent):
        return ""
    first = first_part(alert.note)
    if not first or first.lower() not in title.lower():
        return alert.note
    # A runaway's limit, which is all that follows, stands in the headline.
    rest = "" if alert.kind in LIMIT_IN_NOTE else alert.note[len(first) :].lstrip(" ;")
    return rest[1:].replace(")", "", 1) if rest.startswith("(") else rest


def _over(alert: Alert, lasted: int) -> Iterator[str]:
    if closed(alert):
        yield _ended(alert)
        return
    yield f"Lasted {span(lasted)}"
    if alert.bound == "budget":
        yield figure(alert)
    elif alert.level != NO_DATA:
        # Alerts of former versions know no peak: it is their last value.
        yield from filter(None, (worst(alert) if alert.peak != alert.value else "", bound(alert)))


def _now(alert: Alert) -> Iterator[str]:
    if alert.level == NO_DATA and alert.metric == "calls":
        few = amount(alert.value, "count")
        yield f"{few} call{'' if few == '1' else 's'} · {amount(alert.limit, 'count')} are needed"
        return
    words = STATISTICS.get(alert.metric)
    name = f"{named(alert)} " if words is not None and words.named else ""
    now = value(alert)
    if number(alert, alert.worst) == now:
        yield f"{name}{now}"
    else:
        yield f"{name}now {now}"
        yield worst(alert)
    yield bound(alert)
    if words is None or words.levelled:
        yield clean(alert.level, 20)


def _budget(alert: Alert) -> Iterator[Timed]:
    outlook = alert.outlook or Outlook()
    rate = alert.height if outlook.rate is None else outlook.rate
    if alert.facet == "burn" and rate:
        if outlook.exhausted is not None:
            yield f"{rate:.3g}× too fast, gone by", outlook.exhausted
        else:
            yield f"{rate:.3g}× too fast", None
            if outlook.expected is not None:
                yield _heading(alert, outlook.expected), None
    elif alert.facet == "forecast" and outlook.expected is not None:
        yield _heading(alert, outlook.expected), None
    else:
        yield figure(alert), None
        yield from _left(alert)


def _pace(alert: Alert) -> Iterator[Timed]:
    outlook = alert.outlook or Outlook()
    if not alert.facet:
        if outlook.rate is not None:
            over = f" over {clean(outlook.window, 20)}" if outlook.window else ""
            yield f"{outlook.rate:.3g}× the even rate{over}", None
        if outlook.exhausted is not None:
            yield "gone by", outlook.exhausted
        elif outlook.expected is not None:
            yield f"heading for {amount(outlook.expected, alert.unit)}", None
        return
    if alert.facet == "forecast" and outlook.expected is not None:
        if outlook.low is not None and outlook.high is not None:
            low, high = amount(outlook.low, alert.unit), amount(outlook.high, alert.unit)
            yield f"likely between {low} and {high}", None
        if outlook.chance is not None:
            yield f"chance to overspend {amount(_surely(outlook.chance), 'share')}", None
    elif alert.facet == "forecast" or not (alert.height or outlook.rate):
        return
    yield f"now {figure(alert)}", None
    yield from _left(alert)


def _surely(chance: float) -> float:
    """Nothing that is to come is sure."""
    return round(min(max(chance, 0.01), 0.99), 2)


def _heading(alert: Alert, expected: float) -> str:
    return f"heading for {amount(expected, alert.unit)} of {amount(alert.limit, alert.unit)}"


def _ended(alert: Alert) -> str:
    least = bool(alert.unpriced and alert.unpriced[0])
    if alert.overspent:
        return f"Period ended, {'at least ' if least else ''}{amount(alert.overspent, alert.unit)} over"
    spent = f"{value(alert)} of {amount(alert.limit, alert.unit)}"
    return f"Period ended, at least {spent}" if least else f"Period ended at {spent}"


def _left(alert: Alert) -> Iterator[Timed]:
    if alert.ends is not None and alert.ends > alert.at:
        yield f"{span(alert.ends - alert.at, units=1)} left", None

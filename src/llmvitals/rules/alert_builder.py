"""Builds the records of a rule: alerts from readings, and points from the statistics of detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.record.alert import Alert, fingerprint
from llmvitals.record.point import Point
from llmvitals.record.verdict import Clause, Gate
from llmvitals.rules.templates import rendered, values
from llmvitals.window import MINUTE, window_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.alert import Heavy
    from llmvitals.record.reading import Reading, Stand
    from llmvitals.rules.condition.kind import Kind
    from llmvitals.rules.rule import Rule


NO_DATA_SUMMARY: Final = "{rule} has too few calls: {value} within {window}, {limit} are needed: {series}"
"""The summary of an alert about too few calls."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What explains an alert.

    heaviest: the top contributors. exemplars: ids of calls worth a look. cause: the root-cause line. trend:
    see Alert.
    """

    heaviest: list[Heavy]
    exemplars: list[str]
    cause: str = ""
    trend: Sequence[float] = ()


def last_sent(state: Mapping[str, Any]) -> Alert:
    """A firing alert as it was sent last, but with its worst value so far."""
    last = msgspec.convert(state["alert"], Alert)
    return msgspec.structs.replace(last, peak=_peak(state, last.value))


def resolve_last(state: Mapping[str, Any], at: int, reason: str) -> Alert:
    """Resolve an alert without a reading, at a time (µs): otherwise it is as it was sent last."""
    ended = {"status": "resolved", "at": at, "changed": at, "until": at, "reason": reason, "update": False}
    return msgspec.structs.replace(last_sent(state), **ended, trend=[])


def build_update(
    rule: Rule,
    series: Mapping[str, str],
    reading: Reading,
    *,
    state: Mapping[str, Any],
    evidence: Evidence | None = None,
) -> Alert:
    """The record of values that have moved while the alert fires; what they do not say stays as it was.

    evidence: None: as it was.
    """
    last = msgspec.convert(state["alert"], Alert)
    evidence = evidence or Evidence(last.heaviest, last.exemplars, last.cause, last.trend)
    reading = reading._replace(
        note=reading.note or last.note, ends=reading.ends or last.ends, steer=last.verdict, facet=last.facet
    )
    alert = build_alert(rule, series, reading, state=state, evidence=evidence)
    return msgspec.structs.replace(alert, update=True, changed=last.changed)


def build_alert(
    rule: Rule, series: Mapping[str, str], reading: Reading, *, state: Mapping[str, Any], evidence: Evidence
) -> Alert:
    """The alert for the change that a reading made to an alert state (see AlertState)."""
    reading = reading._replace(level=state["level"])
    names = values(rule, series, reading)
    texts = _texts(rule, reading, names)
    key, condition = fingerprint(rule.name, dict(series)), rule.condition
    return Alert(
        rule=rule.name,
        kind=condition.kind,
        status="firing" if reading.verdict == "breach" else "resolved",
        severity=rule.severity_at(reading.level),
        fingerprint=key,
        episode=f"{key}-{reading.begin or state['since']}",
        group=f"{rule.group}/{rule.name}",
        labels={**series, **rule.labels_at(reading.level)},
        metric="calls" if reading.gone else condition.metric,
        unit="count" if reading.gone else condition.unit,
        value=reading.value,
        limit=reading.limit,
        peak=_peak(state, reading.value),
        bound="limit" if reading.gone else condition.bound,
        level=reading.level,
        facet=reading.facet,
        note=reading.note,
        ends=reading.ends,
        verdict=reading.steer,
        gate=_gate(condition, series),
        window=condition.window_text,
        since=state["since"],
        at=state["at"],
        changed=state.get("changed", state["at"]),
        until=None if reading.verdict == "breach" else state["at"],
        summary=texts.get("summary") or rendered(condition.summary, names),
        annotations=texts,
        notify=dict(rule.notify),
        outlook=reading.outlook,
        unpriced=reading.unpriced,
        heaviest=evidence.heaviest,
        exemplars=evidence.exemplars,
        cause=evidence.cause,
        trend=[*evidence.trend],
    )


def _texts(rule: Rule, reading: Reading, names: Mapping[str, str]) -> dict[str, str]:
    """The annotations of an alert."""
    texts = {name: rendered(template, names) for name, template in rule.annotations.items()}
    if reading.gone:
        texts["summary"] = rendered(NO_DATA_SUMMARY, names)
    elif reading.facet and "{note}" not in rule.annotations.get("summary", ""):
        texts["summary"] = rendered(rule.condition.facets[reading.facet], names)
    return texts


def _peak(state: Mapping[str, Any], value: float) -> float:
    """The worst value since the alert began; states of former versions do not know it."""
    return float(state["peak"][0]) if "peak" in state else value


def _gate(condition: Kind, series: Mapping[str, str]) -> Gate | None:
    if not condition.steers:
        return None
    clauses = (
        Clause(name, tuple(sorted(wanted.values)), wanted.regex, wanted.negate)
        for name, wanted in condition.where
    )
    return Gate(dict(series), tuple(clauses))


def build_point(rule: Rule, series: Mapping[str, str], stand: Stand, upto: int) -> Point:
    """A point of the rule's measurement, in the minute that the statistic ends with; upto: see Point."""
    return Point(
        measurement=rule.condition.measurement,
        start=window_start(stand.end - 1, MINUTE),
        tags={
            "view": rule.view,
            "window": rule.condition.window_text,
            "rule": rule.name,
            **series,
            **stand.tags,
        },
        counts=dict(stand.counts),
        measures=dict(stand.measures),
        texts=dict(stand.texts),
        upto=upto,
    )

"""Which alerts share a message: the group of an alert, by its route, and in a storm one digest for many."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from llmvitals.record.incident import Incident
from llmvitals.record.matcher import Matcher
from llmvitals.routing import EACH
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.alert import Alert
    from llmvitals.routing import Route

MANY: Final = 5
"""More new incidents than these at once in a channel are a storm."""
LASTS: Final = 5 * MINUTE
"""A digest takes in further incidents for this long, and until it is posted."""


class Group(NamedTuple):
    """key: 16 hex digits, the same on every machine. matchers: the labels and values that make the group."""

    key: str
    channel: str
    matchers: tuple[Matcher, ...]


def grouped(alert: Alert, route: Route, default: str) -> Group:
    """Return the group of an alert; default: the channel where neither the rule nor the route names one.

    As in Alertmanager a group belongs to its route, and a label that is not there is the empty text.
    """
    channel = alert.channel or route.channel or default
    matchers = _matchers(alert, route.group_by)
    text = "\0".join([channel, "\1".join(map(str, route.matchers)), *map(str, matchers)])
    return Group(_digest(text), channel, matchers)


def storm(channel: str, now: int) -> str:
    """Return the id of the incident that a storm of alerts in a channel makes."""
    return f"storm-{_digest(channel)[:8]}-{now}"


def _matchers(alert: Alert, group_by: tuple[str, ...] | None) -> tuple[Matcher, ...]:
    if group_by is None:
        by_rule = (Matcher("rule", "=", alert.rule),)
        return alert.itself if alert.bound == "budget" else by_rule
    if EACH in group_by:
        return alert.itself
    marks = alert.marks
    return tuple(Matcher(name, "=", marks.get(name, "")) for name in sorted(group_by))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def gathered(
    store: IncidentStore,
    due: Iterable[str],
    posts: Callable[[str], bool | None],
    now: int,
) -> tuple[list[str], list[str]]:
    """Return which of these incidents go out by themselves, and the digests into which the others went.

    Nothing is lost: a digest has all their alerts. It is sent in the next tick, when it is written down: so
    its name outlives a crash. An incident that a notifier has posted, or may have, keeps its message.

    posts: whether an incident is to be posted now; None: there is none of that id.
    """
    alone, new = [], dict[str, list[Incident]]()
    for name in due:
        first = posts(name)
        if first is None:
            continue
        incident = store.incidents[name]
        if first and not incident.seen and not incident.digest:
            new.setdefault(incident.channel, []).append(incident)
        else:
            alone.append(name)
    digests = []
    for channel, incidents in new.items():
        digest = _open(store, channel, now)
        if digest is None and len(incidents) <= MANY:
            alone += [incident.id for incident in incidents]
            continue
        since = min(incident.since for incident in incidents)
        if digest is None:
            digest = Incident(id=storm(channel, now), channel=channel, since=since, born=now, digest=True)
        if late := [member.late for member in (digest, *incidents) if member.late is not None]:
            until, missed = zip(*late, strict=True)
            digest = replace(digest, late=(max(until), sum(missed)))
        store.merge(incidents, digest)
        digests.append(digest.id)
    return alone, digests


def _open(store: IncidentStore, channel: str, now: int) -> Incident | None:
    """Return the channel's digest that still takes in new incidents."""
    lasting = (
        incident
        for incident in store.incidents.values()
        if incident.digest and incident.channel == channel and incident.until is None
    )
    return next((digest for digest in lasting if not digest.is_posted or now - digest.born < LASTS), None)

"""Which alerts share a message: the group of an alert, by its route."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from llmvitals.record.matcher import Matcher
from llmvitals.routing import EACH

if TYPE_CHECKING:
    from llmvitals.record.alert import Alert
    from llmvitals.routing import Route


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

"""A storm: many incidents that are to be told at once become one digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmvitals.incidents.group import storm
from llmvitals.incidents.next_step import step
from llmvitals.record.incident import Incident
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.incidents.store import IncidentStore
    from llmvitals.incidents.view import IncidentView
    from llmvitals.routing import Route

MANY: Final = 5
"""More new incidents than these at once in a channel are a storm."""
LASTS: Final = 5 * MINUTE
"""So long, and until it is posted, a digest takes in what comes after it."""


def gathered(
    book: IncidentStore,
    due: Iterable[str],
    look: Callable[[str], tuple[IncidentView, Route] | None],
    now: int,
) -> tuple[list[str], list[str]]:
    """Which of these incidents are to be told by themselves, and the digests into which the others went.

    Nothing is lost: a digest has all their alerts. It is told in the next tick, when it is written down: so
    its name outlives a crash. Those about which there is doubt may have their message already.
    """
    alone, new = [], dict[str, list[Incident]]()
    for name in due:
        found = look(name)
        if found is None:
            continue
        sight, route = found
        if step(sight, route, now).post and not sight.incident.doubt and not sight.incident.digest:
            new.setdefault(sight.incident.channel, []).append(sight.incident)
        else:
            alone.append(name)
    digests = []
    for channel, incidents in new.items():
        digest = _open(book, channel, now)
        if digest is None and len(incidents) <= MANY:
            alone += [incident.id for incident in incidents]
            continue
        since = min(incident.since for incident in incidents)
        if digest is None:
            digest = Incident(id=storm(channel, now), channel=channel, since=since, born=now, digest=True)
        if late := [one.late for one in (digest, *incidents) if one.late is not None]:
            until, missed = zip(*late, strict=True)
            digest = replace(digest, late=(max(until), sum(missed)))
        book.merge(incidents, digest)
        digests.append(digest.id)
    return alone, digests


def _open(book: IncidentStore, channel: str, now: int) -> Incident | None:
    found = (
        incident
        for incident in book.incidents.values()
        if incident.digest and incident.channel == channel and incident.until is None
    )
    return next((one for one in found if not one.posted or now - one.born < LASTS), None)

"""A storm: many incidents that are to be sent at once become one digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmvitals.incidents.group import storm
from llmvitals.record.incident import Incident
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.incidents.store import IncidentStore

MANY: Final = 5
"""More new incidents than these at once in a channel are a storm."""
LASTS: Final = 5 * MINUTE
"""A digest takes in further incidents for this long, and until it is posted."""


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

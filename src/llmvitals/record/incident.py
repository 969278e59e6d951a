"""What is remembered of alerts and incidents, as it lies on the compacted `llm.incidents.v1`."""

from __future__ import annotations

from typing import Final

import msgspec

from llmvitals.record.alert import Alert

Heard = tuple[str, str, str]
"""The status, level and verdict of an alert that people heard last."""
FIRST: Final = "slack"
"""The notifier whose state stood in the records themselves, before there could be several."""


class Case(msgspec.Struct, frozen=True, kw_only=True, tag="alert"):
    """An alert as it stands: its newest change. Key: its episode.

    fresh: some change of it was young enough to be sent at once, or it still fired once llmvitals had caught
    up; a firing alert without that is held. group: the key of its group (16 hex digits). incident: the one
    that it belongs to; "": none. heard: notifier → what people heard of it last; without those that said
    nothing of it yet. told: the same of FIRST in records of former versions; always None once read.
    """

    alert: Alert
    fresh: bool
    group: str = ""
    incident: str = ""
    told: Heard | None = None
    heard: dict[str, Heard] = {}

    def __post_init__(self) -> None:
        if self.told is not None:
            msgspec.structs.force_setattr(self, "heard", {FIRST: self.told, **self.heard})
            msgspec.structs.force_setattr(self, "told", None)

    @property
    def id(self) -> str:
        """The alert's episode."""
        return self.alert.episode

    @property
    def firing(self) -> bool:
        """Whether the alert fires now."""
        return self.alert.status == "firing"

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"alert/{self.id}".encode()


class Sent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a notifier has said of an incident.

    posted: there is a message; place: where (see Place), both "" where it has none; doubt: there may be one
    that we don't know of. shown: the digest of the state that it shows; standing: that of the state but for
    values. Wall clock (µs): spoke, when the
    message was posted or replied to; again, when it was last repeated that it still fires. hushed: it was not
    updated while the incident was muted, and people will hear when it is again. said: which answers to people
    ("ack", "calls") are in the thread. edited: when the message last changed.
    """

    posted: bool = False
    place: tuple[str, str] = ("", "")
    doubt: bool = False
    shown: str = ""
    spoke: int = 0
    again: int = 0
    hushed: bool = False
    said: tuple[str, ...] = ()
    standing: str = ""
    edited: int = 0


class Incident(msgspec.Struct, frozen=True, kw_only=True, tag="incident", omit_defaults=True):
    """A group's alerts from the first that fires until all are over: one message a notifier. Key: its id.

    Event time (µs): since, and until when the last alert ended, None while one fires. Wall clock (µs): born,
    when it was opened, opened again, or no longer muted before it was posted. channel: where it is to be
    posted. sent: notifier → what it said. acknowledged: by whom and when. unheard: why it is not sent now.
    asked: somebody wants to see its calls. left: how many of its alerts are forgotten. digest: made by a
    storm. late: some of its alerts were held: until when, and how many others began and ended unsent
    meanwhile.

    The fields from posted to said are those of FIRST in records of former versions, see Sent; once read they
    are in `sent`.
    """

    id: str
    channel: str
    since: int
    born: int
    until: int | None = None
    posted: bool = False
    place: tuple[str, str] = ("", "")
    doubt: bool = False
    shown: str = ""
    spoke: int = 0
    again: int = 0
    acknowledged: tuple[str, int] | None = None
    unheard: str = ""
    hushed: bool = False
    asked: bool = False
    said: tuple[str, ...] = ()
    left: int = 0
    digest: bool = False
    late: tuple[int, int] | None = None
    sent: dict[str, Sent] = {}

    def __post_init__(self) -> None:
        names = [name for name in Sent.__struct_fields__ if name in self.__struct_fields__]
        former = Sent(**{name: getattr(self, name) for name in names})
        if former == _NOTHING:
            return
        msgspec.structs.force_setattr(self, "sent", {FIRST: former, **self.sent})
        for name in names:
            msgspec.structs.force_setattr(self, name, getattr(_NOTHING, name))

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"incident/{self.id}".encode()

    @property
    def is_posted(self) -> bool:
        """Whether some notifier has posted it."""
        return any(sent.posted for sent in self.sent.values())

    @property
    def seen(self) -> bool:
        """Whether some notifier has posted it, or may have."""
        return any(sent.posted or sent.doubt for sent in self.sent.values())

    def by(self, notifier: str) -> Sent:
        """Return what a notifier has said of it."""
        return self.sent.get(notifier, _NOTHING)

    def with_sent(self, notifier: str, **changed: object) -> Incident:
        """Return it with changed fields of what a notifier has said."""
        sent = msgspec.structs.replace(self.by(notifier), **changed)
        return msgspec.structs.replace(self, sent={**self.sent, notifier: sent})


_NOTHING: Final = Sent()
Entry = Case | Incident


def encode(entry: Entry) -> bytes:
    """JSON, with the kind of entry as "type"."""
    return msgspec.json.encode(entry)


def decode(data: bytes) -> Entry:
    """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)

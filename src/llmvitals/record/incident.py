"""What the desk remembers of alerts and incidents, as it lies on the compacted `llm.incidents.v1`."""

from __future__ import annotations

import msgspec

from llmvitals.record.alert import Alert


class Case(msgspec.Struct, frozen=True, kw_only=True, tag="alert"):
    """An alert as it stands: its newest change. Key: its episode.

    fresh: some change of it was young enough to be told at once, or it still fired once llmvitals had caught
    up; a firing alert without that is held. group: the key of its group (16 hex digits). incident: in which
    it is told; "": in none. told: the status, level and verdict that people heard last, None while nobody
    was told of it.
    """

    alert: Alert
    fresh: bool
    group: str = ""
    incident: str = ""
    told: tuple[str, str, str] | None = None

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


class Incident(msgspec.Struct, frozen=True, kw_only=True, tag="incident"):
    """One message in Slack: a group's alerts from the first that fires until all are over. Key: its id.

    Event time (µs): since, and until when the last alert ended, None while one fires. Wall clock (µs):
    born, when it was opened, opened again, or no longer kept quiet before it was posted; spoke, when the
    message was posted or replied to; again, when it was last repeated that it still fires. channel: where
    it is to be posted. posted: there is a message; place: its channel and ts, both "" where it has none
    (webhook, terminal); doubt: there may be one that we don't know of. shown: the digest of the card that
    it shows. acknowledged: by whom and when. unheard: why it is not told now; hushed: it was not, and
    people will hear when it is again. asked: somebody wants to see its calls. said: which answers to people
    ("ack", "calls") are in the thread. left: how many of its alerts are forgotten. digest: made by a storm.
    late: some of its alerts were held: until when, and how many others began and ended untold meanwhile.
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

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"incident/{self.id}".encode()


Entry = Case | Incident


def encode(entry: Entry) -> bytes:
    """JSON, with the kind of entry as "type"."""
    return msgspec.json.encode(entry)


def decode(data: bytes) -> Entry:
    """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)

"""The channels and messages of a FakeSlack."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from llmvitals.notify.slack.block_limits import problems, view_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = dict[str, Any]

_TEXT_LIMIT: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a request fails.

    method: which one (`chat.postMessage`, …, `webhook`), any when None. thread: replies only. error: Slack's
    name for it, with HTTP 200. status: an HTTP status instead. retry_after: seconds, for 429. accept: do it
    nevertheless. hang: never answer. drop: close the connection without an answer.
    """

    method: str | None = None
    thread: bool = False
    error: str = ""
    status: int = 200
    retry_after: float | None = None
    accept: bool = False
    hang: bool = False
    drop: bool = False


@dataclass(slots=True, kw_only=True)
class Posted:
    """A message that people see.

    channel: its id; `channel_name` as it was given to FakeSlack. ts: Slack's name of the message, unique.
    edits: earlier (text, blocks), oldest first. webhook: whether it came by the webhook. replies: its thread,
    oldest first; they have the `thread_ts`.
    """

    channel: str
    channel_name: str
    ts: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    thread_ts: str | None = None
    edits: list[tuple[str, list[Json]]] = field(default_factory=list)
    replies: list[Posted] = field(default_factory=list)
    webhook: bool = False

    @property
    def shown(self) -> str:
        """Return all texts of the message as one JSON text, to search for words."""
        return json.dumps([self.text, self.blocks], ensure_ascii=False)

    @property
    def thread(self) -> list[str]:
        """Return the texts of its replies."""
        return [reply.text for reply in self.replies]

    def as_slack(self, *, metadata: bool) -> Json:
        """Return the message as the Web API does."""
        own = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        thread = self.thread_ts or (self.ts if self.replies else None)
        return (
            own
            | ({"thread_ts": thread} if thread else {})
            | ({"metadata": self.metadata} if metadata and self.metadata else {})
        )


@dataclass(slots=True)
class TokenBucket:
    """Allows a burst, then `rate` a second."""

    rate: float
    burst: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.burst, time.monotonic()

    def wait(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = time.monotonic()
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now
        if self.left < 1:
            return (1 - self.left) / self.rate
        self.left -= 1
        return 0.0


class Workspace:
    """Channels and their messages, and the methods of the Web API that change and read them."""

    def __init__(self, channels: Sequence[str], scopes: Sequence[str], *, limited: bool) -> None:
        self.charts = True
        self.views: list[Json] = []
        self.usergroups: dict[str, Sequence[str]] = {}
        self.triggers: set[str] = set()
        self.channels = {name: f"C{number:08d}" for number, name in enumerate(channels, 1)}
        self.scopes = set(scopes)
        self.messages: list[Posted] = []
        self._limited, self._posts, self._edits = limited, dict[str, TokenBucket](), TokenBucket(50 / 60, 50)
        self._ts = itertools.count(1)
        self._gone: set[tuple[str, str]] = set()
        self._methods: dict[str, Callable[[Json], Json]] = {
            "auth.test": lambda _: {"ok": True, "team": "Fake", "user": "llmvitals", "bot_id": "B00000000"},
            "chat.postMessage": self.post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "views.open": self._open,
            "usergroups.users.list": self._members,
        }

    def act(self, method: str, arguments: Json) -> Json:
        """Return the method's answer."""
        return self._methods[method](arguments) if method in self._methods else no("unknown_method")

    def wait(self, method: str, arguments: Json) -> float:
        """Return the seconds that Slack asks to wait; 0 if the request is done now."""
        if not self._limited:
            return 0.0
        if method == "chat.update":
            return self._edits.wait()
        if method in {"chat.postMessage", "webhook"}:
            channel = self._named(str(arguments.get("channel", ""))) or ""
            return self._posts.setdefault(channel, TokenBucket(1, 5)).wait()
        return 0.0

    def post(self, arguments: Json) -> Json:
        """Do chat.postMessage; with "webhook" among the arguments, the message came by one."""
        name = self._named(str(arguments.get("channel", "")))
        if name is None:
            return no("channel_not_found")
        problem = _refused(arguments, charts=self.charts)
        if problem:
            return problem
        channel, thread_ts = self.channels[name], arguments.get("thread_ts")
        above = self._message(channel, thread_ts) if thread_ts else None
        if thread_ts and above is None:
            if (channel, thread_ts) not in self._gone:
                return no("thread_not_found")
            thread_ts = None  # Slack puts it into the channel, and says so by leaving thread_ts out
        message = Posted(
            channel=channel,
            channel_name=name,
            ts=f"{int(time.time())}.{next(self._ts):06d}",
            text=arguments.get("text", ""),
            blocks=arguments.get("blocks") or [],
            # Slack drops the metadata of what comes by a webhook.
            metadata=None if arguments.get("webhook") else arguments.get("metadata"),
            thread_ts=thread_ts,
            webhook=bool(arguments.get("webhook")),
        )
        (self.messages if above is None else above.replies).append(message)
        return {"ok": True, "channel": channel, "ts": message.ts, "message": message.as_slack(metadata=False)}

    def _update(self, arguments: Json) -> Json:
        if arguments.get("channel") not in self.channels.values():  # here Slack takes no name
            return no("channel_not_found")
        message = self._message(arguments["channel"], arguments.get("ts"))
        if message is None:
            return no("message_not_found")
        if message.webhook:
            return no("cant_update_message")
        problem = _refused(arguments, charts=self.charts)
        if problem:
            return problem
        message.edits.append((message.text, message.blocks))
        message.text, message.blocks = arguments.get("text", ""), arguments.get("blocks") or []
        message.metadata = arguments.get("metadata", message.metadata)
        return {"ok": True, "channel": message.channel, "ts": message.ts, "text": message.text}

    def delete(self, message: Posted) -> None:
        """Delete a message with its thread, or a reply."""
        for posted in (self.messages, *(above.replies for above in self.messages)):
            if message in posted:
                posted.remove(message)
        self._gone.add((message.channel, message.ts))

    def _delete(self, arguments: Json) -> Json:
        every = [message for above in self.messages for message in (above, *above.replies)]
        named = (arguments.get("channel"), arguments.get("ts"))
        found = next((message for message in every if (message.channel, message.ts) == named), None)
        if found is None:
            return no("message_not_found")
        self.delete(found)
        return {"ok": True, "channel": found.channel, "ts": found.ts}

    def _open(self, arguments: Json) -> Json:
        view = arguments.get("view")
        view = json.loads(view) if isinstance(view, str) else view or {}
        if arguments.get("trigger_id") not in self.triggers:
            return no("invalid_trigger_id")
        self.triggers.discard(arguments["trigger_id"])  # it opens one modal
        if reasons := view_problems(view):
            return {**no("invalid_arguments"), "response_metadata": {"messages": reasons}}
        self.views.append({**view, "id": f"V{len(self.views):08d}"})
        return {"ok": True, "view": self.views[-1]}

    def _members(self, arguments: Json) -> Json:
        if "usergroups:read" not in self.scopes:
            return {**no("missing_scope"), "needed": "usergroups:read", "provided": ",".join(self.scopes)}
        group = str(arguments.get("usergroup"))
        if group not in self.usergroups:
            return no("no_such_subteam")
        return {"ok": True, "users": list(self.usergroups[group])}

    def _history(self, arguments: Json) -> Json:
        return self._read(
            arguments, [m for m in reversed(self.messages) if m.channel == arguments.get("channel")]
        )

    def _replies(self, arguments: Json) -> Json:
        above = self._message(str(arguments.get("channel")), arguments.get("ts"))
        return self._read(arguments, [above, *above.replies] if above else None)

    def _read(self, arguments: Json, found: list[Posted] | None) -> Json:
        if "channels:history" not in self.scopes:
            return {**no("missing_scope"), "needed": "channels:history", "provided": ",".join(self.scopes)}
        if arguments.get("channel") not in self.channels.values():
            return no("channel_not_found")
        if found is None:
            return no("thread_not_found")
        oldest, limit = float(arguments.get("oldest") or 0), int(arguments.get("limit") or 100)
        metadata = str(arguments.get("include_all_metadata", "")).lower() in {"1", "true"}
        there = [message.as_slack(metadata=metadata) for message in found if float(message.ts) > oldest]
        return {"ok": True, "messages": there[:limit], "has_more": len(there) > limit}

    def _message(self, channel: str, ts: object) -> Posted | None:
        return next((m for m in self.messages if (m.channel, m.ts) == (channel, ts)), None)

    def _named(self, channel: str) -> str | None:
        by_id = {identity: name for name, identity in self.channels.items()}
        return next((name for name in (channel, f"#{channel}") if name in self.channels), by_id.get(channel))


def no(error: str) -> Json:
    """Return a refusal as Slack does."""
    return {"ok": False, "error": error}


def _refused(arguments: Json, *, charts: bool) -> Json | None:
    """Return Slack's error for a message's content."""
    blocks = arguments.get("blocks") or []
    reasons = problems(blocks) or ([] if charts else _charted(blocks))
    if reasons:
        return {**no("invalid_blocks"), "response_metadata": {"messages": reasons}}
    text = arguments.get("text", "")
    if not blocks and not text:
        return no("no_text")
    return no("msg_too_long") if len(text) > _TEXT_LIMIT else None


def _charted(blocks: list[Json]) -> list[str]:
    return [
        f"unsupported type: {kind}"
        for kind in (b.get("type") for b in blocks)
        if kind == "data_visualization"
    ]

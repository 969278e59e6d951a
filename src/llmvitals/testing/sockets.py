"""FakeSlack's side of Socket Mode: websockets that send what people pressed."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from llmvitals.testing.workspace import no

if TYPE_CHECKING:
    from llmvitals.testing.workspace import Posted

Json = dict[str, Any]

LINK: Final = "/link/"
PATIENCE: Final = 3.0
"""Seconds in which Slack wants an envelope to be acknowledged."""


class Sockets:
    """The open connections. Each press goes to one of them, as in Slack."""

    def __init__(self) -> None:
        self.open: list[web.WebSocketResponse] = []
        self.changed = asyncio.Condition()
        self._tickets: set[str] = set()
        self._acks: dict[str, asyncio.Future[Json | None]] = {}
        self._numbers = itertools.count(1)

    def url(self, origin: str) -> Json:
        """Do apps.connections.open: return an address that is valid for one connection."""
        ticket = f"ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return {
            "ok": True,
            "url": f"{origin.replace('http', 'ws', 1)}{LINK}?ticket={ticket}&app_id=A00000000",
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection, from its hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.json_response(no("invalid_ticket"), status=401)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._change(socket, there=True)
        await socket.send_json({"type": "hello", "num_connections": len(self.open), "debug_info": {}})
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acked(json.loads(message.data))
        finally:
            await self._change(socket, there=False)
        return socket

    async def press(self, payload: Json) -> Json | None:
        """Send what Slack sends for a press, and return what acknowledges it. Raises AssertionError."""
        if not self.open:
            raise AssertionError("nobody listens: no Socket Mode connection is open")
        envelope = f"envelope-{next(self._numbers)}"
        self._acks[envelope] = asyncio.get_running_loop().create_future()
        await self.send(
            {
                "envelope_id": envelope,
                "type": "interactive",
                "accepts_response_payload": True,
                "payload": payload,
            }
        )
        try:
            return await asyncio.wait_for(self._acks[envelope], PATIENCE)
        except TimeoutError:
            what = f"a {payload['type']} was not acknowledged in {PATIENCE:g} s"
            raise AssertionError(what) from None
        finally:
            del self._acks[envelope]

    async def send(self, envelope: Json) -> None:
        """Send to the newest connection."""
        await self.open[-1].send_json(envelope)

    async def disconnect(self, reason: str, *, warned: bool = True) -> None:
        """End every connection; warned: as Slack does, which says it before."""
        for socket in list(self.open):
            if warned:
                await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            else:
                await socket.close()

    def _acked(self, answer: Json) -> None:
        waiting = self._acks.get(str(answer.get("envelope_id")))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.get("payload"))

    async def _change(self, socket: web.WebSocketResponse, *, there: bool) -> None:
        async with self.changed:
            (self.open.append if there else self.open.remove)(socket)
            self.changed.notify_all()


def pressed(message: Posted, action_id: str, user: str, choice: str | None) -> Json:
    """Return the payload of a press; choice: the value chosen in a menu. Raises AssertionError."""
    there = {
        element.get("action_id"): (block, element)
        for block in message.blocks
        for element in (block.get("elements") or [])
        if block.get("type") == "actions"
    }
    if action_id not in there:
        raise AssertionError(f"the message has no {action_id}; it has {sorted(map(str, there))}")
    block, element = there[action_id]
    action = {
        "type": element["type"],
        "action_id": action_id,
        "block_id": block.get("block_id", "b"),
        "action_ts": f"{time.time():.6f}",
    }
    if element["type"] == "button":
        action |= {"text": element["text"], "value": element.get("value", "")}
    else:
        chosen = next((option for option in element["options"] if option["value"] == choice), None)
        if chosen is None:
            raise AssertionError(f"{action_id} has no choice {choice!r}")
        action["selected_option"] = chosen
    return {
        "type": "block_actions",
        "api_app_id": "A00000000",
        "team": {"id": "T00000000", "domain": "fake"},
        "user": user_of(user),
        "channel": {"id": message.channel, "name": message.channel_name.removeprefix("#")},
        "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
        "message": message.as_slack(metadata=True),
        "actions": [action],
    }


def view_submission(view: Json, values: dict[str, Json], user: str) -> Json:
    """Return the payload of a submitted modal; values: block → what was entered."""
    inputs = {b["block_id"]: b["element"]["action_id"] for b in view["blocks"] if b["type"] == "input"}
    state = {block: {inputs[block]: entered} for block, entered in values.items()}
    return {
        "type": "view_submission",
        "team": {"id": "T00000000", "domain": "fake"},
        "user": user_of(user),
        "view": {**view, "state": {"values": state}},
    }


def user_id(user: str) -> str:
    """Return the id of a user of this name."""
    return f"U{user.upper():0>8}"


def user_of(user: str) -> Json:
    """Return a user as interactions name them."""
    return {"id": user_id(user), "username": user, "name": user, "team_id": "T00000000"}

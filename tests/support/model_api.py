"""A stand-in for OpenAI's and Anthropic's APIs on 127.0.0.1, with their streams, usage and errors.

The key of a request decides: one that ends in `wrong`, `limited` or `broken` gets 401, 429 or 500, `flaky` 500 once, and
`hanging` a stream that stops after its first words, until the client goes. Every text has the secret of `planted.py` in it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from typing import Any, Self

from aiohttp import web

from planted import SECRET

Json = dict[str, Any]
WORDS = ("The answer ", f"is {SECRET}", ".")
ERRORS = {
    "wrong": (401, "invalid_api_key", "authentication_error"),
    "limited": (429, "rate_limit_exceeded", "rate_limit_error"),
    "broken": (500, "server_error", "api_error"),
}
CHAT_USAGE = {
    "prompt_tokens": 412, "completion_tokens": 37, "total_tokens": 449,
    "prompt_tokens_details": {"cached_tokens": 256, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
}  # fmt: skip
RESPONSE_USAGE = {
    "input_tokens": 412, "output_tokens": 37, "total_tokens": 449,
    "input_tokens_details": {"cached_tokens": 256}, "output_tokens_details": {"reasoning_tokens": 8},
}  # fmt: skip
CLAUDE_USAGE = {
    "input_tokens": 21, "cache_read_input_tokens": 1_800, "cache_creation_input_tokens": 100, "output_tokens": 12,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard",
}  # fmt: skip


class Failed(Exception):
    """A request gets this status and body."""

    def __init__(self, status: int, body: Json) -> None:
        self.status, self.body = status, body


@web.middleware
async def failures(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except Failed as failed:
        return web.json_response(failed.body, status=failed.status, headers={"retry-after-ms": "1"})
    return answer


class ModelApi:
    """The server, in a thread of its own. url: without a path. requests: bodies that came."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Json] = []
        self._failed: set[str] = set()
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=[self._serve()], daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(middlewares=[failures])
        for path, answer in (
            ("/v1/chat/completions", self._chat),
            ("/v1/responses", self._response),
            ("/v1/embeddings", self._embeddings),
            ("/v1/audio/speech", self._speech),
            ("/v1/messages", self._message),
        ):
            app.router.add_post(path, answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _body(self, request: web.Request) -> Json:
        """The body; raises the error that the key stands for."""
        key = request.headers.get("x-api-key") or request.headers["authorization"]
        flaky = key.endswith("flaky") and key not in self._failed
        self._failed.add(key)
        for name, (status, code, kind) in ERRORS.items():
            if key.endswith(name) or (flaky and name == "broken"):
                error = {"message": f"{SECRET}: the key {key} is {name}", "type": kind, "code": code}
                raise Failed(status, {"type": "error", "error": error})
        body: Json = await request.json()
        self.requests.append(body)
        return body | {"hangs": key.endswith("hanging")}

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        options = body.get("stream_options")
        if options and not body.get("stream"):
            raise Failed(400, {"error": {"message": "stream_options needs stream", "code": None}})
        head = {"id": f"chatcmpl-{next(self._numbers)}", "created": 1, "model": body["model"] + "-2024-07-18"}
        tools = [
            {"index": 0, "id": "call_1", "type": "function",
             "function": {"name": tool["function"]["name"], "arguments": json.dumps({"q": SECRET})}}
            for tool in body.get("tools", ())
        ]  # fmt: skip
        reason = "tool_calls" if tools else "stop"
        if not body.get("stream"):
            message: Json = {
                "role": "assistant",
                "content": None if tools else "".join(WORDS),
                "refusal": None,
            }
            message |= (
                {"tool_calls": [{k: v for k, v in tool.items() if k != "index"} for tool in tools]}
                if tools
                else {}
            )
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            head |= {"object": "chat.completion", "service_tier": "default"}
            return web.json_response(head | {"choices": [choice], "usage": CHAT_USAGE})
        asked = bool(options and options.get("include_usage"))
        head |= {"object": "chat.completion.chunk"} | ({"usage": None} if asked else {})
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{"tool_calls": tools}] if tools else [{"content": word} for word in WORDS]
        chunks = [
            head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        chunks += [head | {"choices": [], "usage": CHAT_USAGE}] if asked else []
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return await self._stream(request, [*lines, "data: [DONE]\n\n"], hangs=body["hangs"])

    async def _response(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        number = next(self._numbers)
        content = [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]
        item = {
            "type": "message",
            "id": f"msg_{number}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
        whole: Json = {
            "id": f"resp_{number}", "object": "response", "created_at": 1, "model": body["model"] + "-2024-07-18",
            "status": "completed", "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": RESPONSE_USAGE, "service_tier": "default", "error": None, "incomplete_details": None,
        }  # fmt: skip
        if not body.get("stream"):
            return web.json_response(whole)
        begun = whole | {"status": "in_progress", "output": [], "usage": None}
        events: list[Json] = [{"type": "response.created", "response": begun}]
        events += [
            {"type": "response.output_text.delta", "delta": word, "item_id": item["id"], "output_index": 0,
             "content_index": 0, "logprobs": []}
            for word in WORDS
        ]  # fmt: skip
        events.append({"type": "response.completed", "response": whole})
        return await self._events(request, events, hangs=body["hangs"])

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        vector: Json = {"object": "embedding", "index": 0, "embedding": [0.25] * 8}
        usage = {"prompt_tokens": 9, "total_tokens": 9}
        return web.json_response({"object": "list", "data": [vector], "model": body["model"], "usage": usage})

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        return web.Response(body=SECRET.encode(), content_type="audio/mpeg")

    async def _message(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        content: list[Json] = [{"type": "text", "text": "".join(WORDS)}]
        if body.get("tools"):
            content.append(
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": body["tools"][0]["name"],
                    "input": {"q": SECRET},
                }
            )
        whole: Json = {
            "id": f"msg_{next(self._numbers)}", "type": "message", "role": "assistant",
            "model": body["model"] + "-20250929", "content": content, "stop_sequence": None,
            "stop_reason": "tool_use" if body.get("tools") else "end_turn", "usage": CLAUDE_USAGE,
        }  # fmt: skip
        if not body.get("stream"):
            return web.json_response(whole)
        begun: Json = whole | {
            "content": [],
            "stop_reason": None,
            "usage": CLAUDE_USAGE | {"output_tokens": 1},
        }
        events: list[Json] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {name: count for name, count in CLAUDE_USAGE.items() if name.endswith("tokens")}},
            {"type": "message_stop"},
        ]  # fmt: skip
        return await self._events(request, events, hangs=body["hangs"])

    async def _events(self, request: web.Request, events: list[Json], *, hangs: bool) -> web.StreamResponse:
        lines = [
            f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
            for number, event in enumerate(events)
        ]
        return await self._stream(request, lines, hangs=hangs)

    async def _stream(self, request: web.Request, lines: list[str], *, hangs: bool) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        for number, line in enumerate(lines):
            try:
                await answer.write(line.encode())
            except ConnectionResetError:  # the client has gone
                return answer
            await asyncio.sleep(0.002)  # so that the first token comes before the end
            if hangs and number == 3:
                await self._stop.wait()
        return answer

"""Reads the log events of coding agents: Claude Code, Codex and Gemini CLI; and the spans of Claude Code.

The spans and the events of one request have one id, and so those of a tool.

Sources: "Monitoring" in Claude Code's documentation, `docs/config.md` (otel) of Codex, `docs/telemetry.md` of
Gemini CLI.
"""

from __future__ import annotations

from typing import Any, Final

from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.values import dollars, identity, millis
from llmvitals.lenient import text
from llmvitals.usage import Usage, add_up, known

_AGENTS: Final = {"claude_code": "anthropic", "codex": "openai", "gemini_cli": "google"}
"""Prefix of the events → provider."""
_CALLS: Final = ("api_request", "api_response", "sse_event", "websocket_request")
_ERRORS: Final = ("api_error",)
_NO: Final = (False, "false", "False")
_SPANS: Final = "com.anthropic.claude_code"
_TOOLS: Final = ("tool_result", "tool_call")
_DIMENSIONS: Final = {
    "repository": ("repository", "repository.name", "vcs.repository.name", "project"),
    "branch": ("branch", "vcs.ref.head.name"),
    "billing": ("billing", "billing_tag", "cost_center", "department"),
    "sub_agent": ("agent.name", "subagent", "query_source", "agent_type"),
}
"""Tag → attributes, of the event or of the resource."""


def read(record: Span) -> tuple[Reading, ...] | None:
    """What an event of a coding agent tells of: a call, a failed call or a tool's execution."""
    agent, dot, name = record.name.partition(".")
    if not dot or agent not in _AGENTS:
        # Claude Code names its events without the prefix in `event.name`, and its scope tells who it is.
        agent = next((known_ for known_ in _AGENTS if known_ in record.scope.replace("-", "_").lower()), "")
        name = record.name
    if not agent:
        return None
    if name in _TOOLS:
        return (_tool(record, agent),)
    if name in _ERRORS:
        return (_call(record, agent, failed=True),)
    if name in _CALLS:
        return _answer(record, agent, name)
    return NOTHING


def _answer(record: Span, agent: str, name: str) -> tuple[Reading, ...]:
    if agent == "codex":
        # Codex tells of the tokens in the last event of a stream; its api_request tells of failures only.
        if name == "sse_event":
            kind, broken = record.text("event.kind"), record.has("error.message")
            if broken and kind in (None, "response.failed", "response.completed"):
                return (_call(record, agent, failed=True),)
            done = kind == "response.completed" and record.has("input_token_count")
            return (_call(record, agent, failed=False),) if done else NOTHING
        status = record.count("http.response.status_code", "status_code")
        failed = record.has("error.message", "error") or (status is not None and status >= _FAILED)
        return (_call(record, agent, failed=True),) if failed else NOTHING
    if agent == "gemini_cli" and name == "api_request":
        return NOTHING  # the api_response has the same with its tokens
    return (_call(record, agent, failed=False),)


_FAILED: Final = 400
_REASONS: Final = ("error.type", "error_type", "status_code", "http.response.status_code")


def _call(record: Span, agent: str, *, failed: bool) -> Reading:
    fields = _who(record, agent) | (_usage(record, agent) if not failed else {}) | {
        "operation": "chat",
        "model": record.text("model", "gen_ai.request.model") or "",
        "provider": _AGENTS[agent],
        "latency_ms": millis(record.number("duration_ms")),
        "ttft_ms": millis(record.number("ttft_ms")),
        "response_id": identity(record.get("response_id", "request_id")),
        "cost_usd": dollars(record.get("cost_usd")),
        "status": "error" if failed else "ok",
        "error_type": text(record.get(*_REASONS), 256) if failed else None,
        "id_suffix": _suffix(record),
    }  # fmt: skip
    return Reading("llm", fields)


def _usage(record: Span, agent: str) -> Usage:
    if agent == "claude_code":
        read, written = record.count("cache_read_tokens"), record.count("cache_creation_tokens")
        return known({
            "input_tokens": add_up(record.count("input_tokens"), read, written),
            "output_tokens": record.count("output_tokens"),
            "cached_tokens": read,
            "cache_write_tokens": written,
        })  # fmt: skip
    output = record.count("output_token_count")
    thoughts = record.count("reasoning_token_count", "thoughts_token_count")
    if agent == "gemini_cli" and output is not None:
        output += thoughts or 0
    return known({
        "input_tokens": record.count("input_token_count"),
        "output_tokens": output,
        "cached_tokens": record.count("cached_token_count", "cached_content_token_count"),
        "reasoning_tokens": thoughts,
    })  # fmt: skip


def _tool(record: Span, agent: str) -> Reading:
    failed = record.get("success") in _NO
    return Reading("tool", _who(record, agent) | {
        "operation": "tool",
        "model": "",
        "tools": [{"name": record.text("tool_name", "function_name", "name") or "tool"}],
        "latency_ms": millis(record.number("duration_ms")),
        "status": "error" if failed else "ok",
        "error_type": text(record.get("error_type", "error.type"), 256) if failed else None,
        "response_id": identity(record.get("tool_use_id")),
        "id_suffix": _suffix(record),
    })  # fmt: skip


def _who(record: Span, agent: str) -> dict[str, Any]:
    tags = {
        tag: value
        for tag, names in _DIMENSIONS.items()
        if (value := record.text(*names) or record.of_resource(*names)) is not None
    }
    return {"agent": agent, "tags": tags or None, "user": _developer(record)}


def _developer(record: Span) -> str | None:
    return record.text("user.email", "user.id", "user.account_uuid") or record.of_resource(
        "user.email", "user.id"
    )


def _suffix(record: Span) -> str:
    """What tells the events of one session apart: log records have no id of their own."""
    sequence = record.text("event.sequence", "request_id", "prompt_id", "prompt.id") or ""
    return f"{record.text('session.id', 'conversation.id') or ''}-{record.name}-{record.end}-{sequence}"


def read_span(span: Span) -> tuple[Reading, ...] | None:
    """A request to a model, or the use of a tool."""
    if not span.scope.startswith(_SPANS):
        return None
    kind = span.text("span.type")
    failed = span.is_error or span.get("success") in _NO
    told = {"id_suffix": None, "latency_ms": span.latency()}
    if kind == "llm_request":
        call = _call(span, "claude_code", failed=failed)
        return (Reading("llm", call.fields | told | {"finish_reason": span.text("stop_reason")}),)
    if kind == "tool":
        return (Reading("tool", _tool(span, "claude_code").fields | told),)
    return NOTHING


DIALECT: Final = Dialect(("claude_code.", "codex.", "gemini_cli."), read)
SPANS: Final = Dialect(("span.type",), read_span)

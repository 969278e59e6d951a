"""Recordings with a secret in everything that holds a text: prompts, answers, arguments, headers, keys, tracebacks."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

SECRET = "sEcReT-cAnArY"  # noqa: S105 - it is none
"""Must be found nowhere."""

_TEXTS = re.compile(
    r"(^|[._])(content|contents|text|arguments|args|inputs?|outputs?|value|messages?|prompt|completion|error_message"
    r"|error_str|error|exception|stacktrace|traceback|statement|description|comment|explanation|rationale|reason"
    r"|parameters|template|variables|api_base|base_url|url|referrer|user_agent|headers|api_key|public_key|q|query"
    r"|page_content|json_schema|instructions|system_instructions|definitions|message_str|label|spanInputs|spanOutputs"
    r"|function_input|function_output|input_text|output_text|request_body|response_body|data|choices)$"
)
"""Names of what holds texts. Names of dimensions, models, tools, ids and reasons are not among them."""
_NAMES = re.compile(r"finish_reason|stop_reason|\.(id|role|type|name|model|usage)$")
_HEADERS = repr({"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "Helicone-Property-Note": SECRET})
MORE = {
    "http.request.header.authorization": f"Bearer {SECRET}", "llm.headers": _HEADERS, "gen_ai.api_key": SECRET,
    "openai.api_key": SECRET, "exception.message": SECRET, "exception.stacktrace": f"Traceback\n  {SECRET}",
    "gen_ai.prompt.7.content": SECRET, "gen_ai.tool.call.arguments": SECRET, "llm.input_messages.9.message.content": SECRET,
    "gen_ai.system_instructions": SECRET, "api_key": SECRET, "password": SECRET,
}  # fmt: skip
"""Attributes that every span gets if it has none of the name."""


def planted(value: Any, name: str = "") -> Any:
    """A copy with the secret in every text, also within JSON and Python in texts. name: of the value."""
    if isinstance(value, dict):
        if isinstance(value.get("key"), str) and isinstance(value.get("value"), dict):
            return value | {"value": planted(value["value"], value["key"])}
        kept = value.keys() & {"stringValue", "arrayValue", "values", "kvlistValue"}
        result = {key: planted(inner, name if key in kept else str(key)) for key, inner in value.items()}
        return _with_more(result)
    if isinstance(value, list):
        return [planted(item, name) for item in value]
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        return _inside(value, name)
    return f"{SECRET} {value} {SECRET}" if _TEXTS.search(name) and not _NAMES.search(name) else value


def _with_more(holder: dict[str, Any]) -> dict[str, Any]:
    """A span with further attributes, or an object of several fields with further ones."""
    if "spanId" in holder and isinstance(holder.get("attributes"), list):
        known = {attribute["key"] for attribute in holder["attributes"]}
        more = [{"key": k, "value": {"stringValue": v}} for k, v in MORE.items() if k not in known]
        status = (holder.get("status") or {}) | {"message": SECRET}
        return holder | {"attributes": holder["attributes"] + more, "status": status}
    if len(holder) > 4 and "key" not in holder and "spans" not in holder:
        return {"authorization": f"Bearer {SECRET}"} | holder
    return holder


def _inside(text: str, name: str) -> str:
    for read, write in ((json.loads, json.dumps), (ast.literal_eval, repr)):
        try:
            return str(write(planted(read(text), name)))
        except (ValueError, SyntaxError):
            continue
    return f"{text} {SECRET}"

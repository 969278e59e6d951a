"""Reads bodies of vendors' REST APIs, for systems that do not speak OpenTelemetry.

A record is `{"method": …, "path": …, "body": …}`, as `llmvitals gateway` writes it. The path tells the
vendor. To add one, write a file with a `Vendor` and add its line to `VENDORS`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import orjson

from llmvitals.errors import BadCall, Code, bad
from llmvitals.ingest.rest import helicone, langfuse, langsmith, mlflow, opik, phoenix, promptlayer, weave
from llmvitals.ingest.rest.vendor import Request, Vendor
from llmvitals.ingest.values import MOST_REFUSED, Context, Decoded, Format, call, event_id, moment

VENDORS: Final[dict[str, Vendor]] = {
    "langfuse": langfuse.VENDOR,
    "langsmith": langsmith.VENDOR,
    "opik": opik.VENDOR,
    "weave": weave.VENDOR,
    "phoenix": phoenix.VENDOR,
    "mlflow": mlflow.VENDOR,
    "promptlayer": promptlayer.VENDOR,
    "helicone": helicone.VENDOR,
}
"""Name → vendor. The first whose pattern matches the path reads the body."""

_HELICONE: Final = frozenset(("request_id", "request_body", "response_body"))


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is a request to a vendor, or Helicone's webhook."""
    return ("path" in names and "body" in names) or all(name in names for name in _HELICONE)


def vendor_of(path: str) -> str | None:
    """The name of the vendor whose API has this path; None if none has."""
    return next((name for name, vendor in VENDORS.items() if vendor.path.search(path)), None)


def read(value: bytes, context: Context) -> Decoded:
    """Decode a request. Raises BadCall if nothing in it can be read."""
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None
    if "path" in data:
        path, body = data["path"], data["body"]
        name = vendor_of(path) if isinstance(path, str) else None
    else:
        path, body, name = "", data, "helicone"
    if name is None:
        raise bad(Code.UNKNOWN_FORMAT, "path: is of no known REST API")
    try:
        found = VENDORS[name].read(Request(path, body, context.arrived))
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        raise bad(Code.INVALID, f"body: does not have the structure of {name}'s API") from None
    return _decoded(name, found.events, found.filtered)


def _decoded(name: str, events: list[dict[str, Any]], filtered: int) -> Decoded:
    calls, refused = [], []
    for place, fields in enumerate(events):
        try:
            parts = fields.pop("id")
            known = {"instrumentor": name, "model": ""} | {k: v for k, v in fields.items() if v is not None}
            calls.append(call(known | {"id": event_id(*parts), "ts": moment(known["ts"], "ts")}))
        except BadCall as error:
            refused.append(error.at(place))
        except KeyError:
            refused.append(bad(Code.INVALID, "has no time").at(place))
    more = max(len(refused) - MOST_REFUSED, 0)
    return Decoded(calls, filtered + more, refused[:MOST_REFUSED])


FORMAT: Final = Format(knows, read, several=True)

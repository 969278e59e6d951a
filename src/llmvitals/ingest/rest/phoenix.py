"""Reads annotations of Arize Phoenix: of spans, traces and documents."""

from __future__ import annotations

import re
from typing import Final

from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation
from llmvitals.ingest.values import micros
from llmvitals.lenient import listed, mapping, text


def read(request: Request) -> Found:
    """One evaluation each. They know no time of their own: the record's is taken."""
    found = Found()
    for entry in map(mapping, listed(mapping(request.body).get("data"))):
        result = mapping(entry.get("result"))
        target = text(entry.get("span_id") or entry.get("trace_id") or entry.get("session_id"))
        name, document = text(entry.get("name")), text(entry.get("document_position"))
        found.add(
            evaluation(
                name,
                result.get("score"),
                identity=(target, document, name, text(entry.get("identifier"))),
                ts=micros(entry.get("created_at")) or request.arrived,
                target=target,
                annotator=entry.get("annotator_kind"),
            )
        )
    return found


VENDOR: Final = Vendor(re.compile(r"/v1/(span|trace|session|document)_annotations"), read)

"""Reads assessments of MLflow."""

from __future__ import annotations

import re
from typing import Final

from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation
from llmvitals.ingest.values import micros
from llmvitals.lenient import mapping, text


def read(request: Request) -> Found:
    """Feedback of a person or of a judge; an expectation is no evaluation."""
    found = Found()
    entry = mapping(mapping(request.body).get("assessment"))
    feedback = mapping(entry.get("feedback"))
    if "value" not in feedback:
        found.filtered += 1
        return found
    trace = text(entry.get("trace_id"))
    name = text(entry.get("assessment_name"))
    source = mapping(entry.get("source"))
    found.add(
        evaluation(
            name,
            feedback["value"],
            identity=(trace, text(entry.get("span_id")), name, text(source.get("source_id"))),
            ts=micros(entry.get("create_time")) or request.arrived,
            target=trace,
            annotator=source.get("source_type"),
        )
    )
    return found


VENDOR: Final = Vendor(re.compile(r"/mlflow/traces/[^/]+/assessments"), read)

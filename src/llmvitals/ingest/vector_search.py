"""Reads spans of databases that search vectors: OpenLLMetry's instrumentors, and SQL with pgvector."""

from __future__ import annotations

import re
from typing import Final

from llmvitals.ingest import events
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.lenient import number

_DISTANCE: Final = re.compile(r"<=>|<->|<#>|<\+>")
"""The operators of pgvector."""
_STORES: Final = frozenset(
    (
        "qdrant",
        "pinecone",
        "chroma",
        "chromadb",
        "milvus",
        "weaviate",
        "lancedb",
        "marqo",
        "opensearch_vector",
    )
)
_SEARCHES: Final = ("query", "search", "retrieve", "recommend", "near", "discover", "hybrid", "similarity")
_RESULT: Final = "db.query.result"
_SCORE: Final = "db.query.result.score"


def read(span: Span) -> tuple[Reading, ...] | None:
    """The search of a span; writes and other queries are none."""
    system = (span.text("db.system", "db.system.name") or "").lower()
    if not system:
        return None
    statement = span.get("db.query.text", "db.statement")
    if isinstance(statement, str) and _DISTANCE.search(statement):
        return events.retrieval(span, None, source=system)
    if system not in _STORES:
        return NOTHING
    operation = (span.text("db.operation", "db.operation.name") or span.name).lower().rpartition(".")[2]
    if not operation.startswith(_SEARCHES) and operation != "get":
        return NOTHING
    found = [event for event in span.events if event.name == _RESULT]
    values = [event.attributes[_SCORE] for event in found if _SCORE in event.attributes]
    scores = [score for value in values if (score := number(span.plain(value))) is not None]
    return events.retrieval(span, len(found) or None, scores, source=system)


DIALECT: Final = Dialect(("db.",), read)

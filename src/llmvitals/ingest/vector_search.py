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
_RESULTS: Final = ("db.query.result", "db.search.result")
_COMPLETE: Final = (("chroma", "query"), ("pinecone", "query"), ("milvus", "query"), ("milvus", "search"))
"""Searches whose spans have an event for each result: without one, nothing was found."""
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
    found = [event for event in span.events if event.name in _RESULTS]
    values = [event.attributes[_SCORE] for event in found if _SCORE in event.attributes]
    scores = [score for value in values if (score := number(span.plain(value))) is not None]
    told = found or ((system, operation) in _COMPLETE and not span.is_error)
    return events.retrieval(span, len(found) if told else None, scores, source=system)


DIALECT: Final = Dialect(("db.",), read)

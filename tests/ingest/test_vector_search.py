"""Searches in vector stores by OpenLLMetry's instrumentors."""

from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call
from spans import Attributes, event, export, span


def search(name: str, attributes: Attributes, **more: Any) -> Call:
    (call,) = decode(export(("a", [span(1, attributes, name=name, **more)]))).calls
    return call


def documents(call: Call) -> int | None:
    return call.retrieval.documents if call.retrieval else None


@pytest.mark.parametrize(
    ("system", "operation", "result"),
    [
        ("chroma", "query", "db.query.result"),
        ("pinecone", "query", "db.query.result"),
        ("milvus", "search", "db.search.result"),
        ("milvus", "query", "db.query.result"),
    ],
)
def test_a_store_that_tells_of_each_result(system: str, operation: str, result: str) -> None:
    attributes = {"db.system": system, "db.operation": operation}
    name = f"{system}.{operation}"
    assert documents(search(name, attributes, events=[event(result, 1), event(result, 2)])) == 2
    assert documents(search(name, attributes)) == 0
    assert documents(search(name, attributes, status={"code": 2})) is None
    assert documents(search(name, {"db.system": system})) == 0


def test_a_store_that_tells_of_no_result() -> None:
    assert documents(search("qdrant.query_points", {"db.system": "Qdrant"})) is None
    assert documents(search("lancedb.search", {"db.system": "lancedb", "db.operation": "search"})) is None


def test_a_write_is_no_search() -> None:
    written = span(1, {"db.system": "milvus", "db.operation": "insert"})
    assert not decode(export(("a", [written]))).calls

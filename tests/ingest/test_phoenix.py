"""Bodies of Phoenix' REST API."""

import json

from llmvitals.ingest import decode


def test_each_document_of_a_search_has_an_annotation_of_its_own() -> None:
    entry = {"name": "relevance", "annotator_kind": "LLM", "span_id": "00f0"}
    data = [entry | {"document_position": place, "result": {"score": place}} for place in (0, 1)]
    body = {"data": [*data, entry | {"result": {"score": 0.5}}]}
    calls = decode(json.dumps({"path": "/v1/document_annotations", "body": body}).encode(), 1).calls
    assert [call.scores for call in calls] == [{"relevance": 0}, {"relevance": 1}, {"relevance": 0.5}]
    assert len({call.id for call in calls}) == 3
    assert {call.target_id for call in calls} == {"00f0"}

"""NeMo Guardrails: its model calls."""

from llmvitals.ingest import decode
from llmvitals.price import Prices
from spans import Attributes, export, span

CALL: Attributes = {
    "gen_ai.operation.name": "self_check_input",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 20,
}


def test_an_answer_of_its_own_cache_costs_nothing() -> None:
    costs = []
    for hit in (False, True):
        attributes = CALL | {"llm.cache.hit": hit}
        (call,) = decode(export(("nemo_guardrails", [span(1, attributes)]))).calls
        costs.append(Prices().assess(call)[0])
    assert costs == [162_000, 0]

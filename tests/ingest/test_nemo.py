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


def test_a_call_before_it_had_genais_names() -> None:
    counts = {"prompt_tokens": 216, "completion_tokens": 36, "tokens": 252}
    told = {f"llm_call_meta_llama-3_{kind}_total": tokens for kind, tokens in counts.items()}
    names = ("interaction", "rail: self check input", "LLM: meta/llama-3")
    spans = [span(number, told, name=name) for number, name in enumerate(names, 1)]
    (call,) = decode(export(("nemo_guardrails", spans))).calls
    assert (call.model, call.input_tokens, call.output_tokens) == ("meta/llama-3", 216, 36)

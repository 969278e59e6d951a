"""Reads token counts of spans by OpenTelemetry's GenAI conventions, in the names of all their versions."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest.span import Span
from llmvitals.lenient import count, mapping
from llmvitals.litellm_calls import usage_in
from llmvitals.usage import Usage, add_up, by_total, cache_writes, first_known, known, of_total, usage_of

INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cached_tokens",
)  # fmt: skip
_WRITTEN: Final = (
    "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.details.cache_write_tokens",
)  # fmt: skip
_REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
)  # fmt: skip
"""`details` are those of Pydantic AI."""
_LITELLM: Final = "metadata.usage_object"
_COUNTS: Final = ("input_tokens", "output_tokens")
_ADK: Final = "gcp.vertex.agent"
_ANSWER: Final = "gcp.vertex.agent.llm_response"
"""Where Google's Agent Development Kit has the answer of Gemini."""
_BEDROCK: Final = ("aws.bedrock", "aws_bedrock", "bedrock", "aws")


_INCLUSIVE: Final = ("openinference", "litellm", "langchain", "pydantic-ai", "anthropic.sdk")
"""Parts of the scopes that count Bedrock's cached tokens in the input, as for all providers."""
_STRANDS: Final = "strands."
"""The beginning of the scope of Strands Agents, which tells of cached tokens only in the total."""


def usage(span: Span, provider: str | None, operation: str) -> Usage:
    """The token counts of a call to this provider. Bedrock leaves cached tokens out of its input."""
    if span.scope == _ADK and (whole := usage_of(mapping(span.structure(_ANSWER)).get("usage_metadata"))):
        return whole  # beside it the thoughts are missing
    input_tokens, output_tokens = span.count(*INPUT), span.count(*OUTPUT)
    details = mapping(span.structure("gen_ai.usage.input_token_details"))
    output_details = mapping(span.structure("gen_ai.usage.output_token_details"))
    # LiteLLM's own usage has what these names do not tell, such as audio and its cache.
    further = usage_in(span.structure(_LITELLM), operation, provider) if span.has(_LITELLM) else {}
    cached, written = span.count(*_READ), span.count(*_WRITTEN)
    if further:
        cached, written = further.get("cached_tokens"), further.get("cache_write_tokens")
    total = span.count(*TOTAL)
    if provider in _BEDROCK and not any(name in span.scope for name in _INCLUSIVE):
        input_tokens = add_up(input_tokens, cached, written)
    elif span.scope.startswith(_STRANDS) and None not in (input_tokens, output_tokens, total):
        input_tokens = max(input_tokens or 0, (total or 0) - (output_tokens or 0))
    else:
        input_tokens, output_tokens = by_total(input_tokens, output_tokens, (cached, written), total)
    told = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_tokens": first_known(cached, count(details.get("cache_read"))),
        "cache_write_tokens": first_known(written, cache_writes(details)),
        "cache_write_1h_tokens": span.count("anthropic.usage.cache_creation.ephemeral_1h_input_tokens"),
        "reasoning_tokens": first_known(span.count(*_REASONING), count(output_details.get("reasoning"))),
    }
    if further:
        told |= {name: further[name] for name in _COUNTS if further.get(name) is not None}
    whole = known(further | {name: tokens for name, tokens in told.items() if tokens is not None})
    return of_total(whole, total, operation)

"""Reads token counts of usage objects, whatever their provider's names are, to the inclusive convention.

Inclusive: `input_tokens` hold the cached and cache-written ones, `output_tokens` the reasoning ones. A
missing count is unknown, which is not 0, and an object of zeros only is unknown usage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmvitals.lenient import count, listed, mapping

Usage = dict[str, int | None]
"""Field of a call event → tokens."""
Cache = tuple[int | None, int | None]
"""Tokens that were read from the cache, and written to it."""

_INPUT: Final = ("prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count", "promptTokenCount")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "outputTokens")
_CANDIDATES: Final = ("candidates_token_count", "candidatesTokenCount")
_THOUGHTS: Final = ("thoughts_token_count", "thoughtsTokenCount")
_WHOLE: Final = (*_INPUT, *_OUTPUT, *_CANDIDATES)
_OWN: Final = ("input", "output")
"""Langfuse's own names."""
_TOOL_USE: Final = ("tool_use_prompt_token_count", "toolUsePromptTokenCount")
"""What Google's tools found for the model to read, which Google counts beside the prompt."""
_TOTAL: Final = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount", "total")
_READ: Final = ("cache_read_input_tokens", "cacheReadInputTokens", "cache_read_tokens", "cached_tokens",
                "prompt_cache_hit_tokens")  # fmt: skip
_GEMINI_READ: Final = ("cached_content_token_count", "cachedContentTokenCount")
_WRITTEN: Final = (
    "cache_creation_input_tokens", "cacheWriteInputTokens", "cache_write_tokens", "cache_creation_tokens",
)  # fmt: skip
_WRITTEN_INSIDE: Final = ("cache_write_tokens", "cache_creation_tokens", "cache_creation")
_INPUT_DETAILS: Final = (
    "prompt_tokens_details", "input_tokens_details", "input_token_details", "prompt_token_details",
)  # fmt: skip
_OUTPUT_DETAILS: Final = (
    "completion_tokens_details", "output_tokens_details", "output_token_details", "completion_token_details",
)  # fmt: skip
_EPHEMERAL: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
"""LangChain's parts of the cache-written tokens. Beside them it writes 0 for the whole."""
_GEMINI_INPUT_DETAILS: Final = ("promptTokensDetails", "prompt_tokens_details")
_GEMINI_OUTPUT_DETAILS: Final = ("candidatesTokensDetails", "candidates_tokens_details")
_GEMINI_CACHE_DETAILS: Final = ("cacheTokensDetails", "cache_tokens_details")
"""Google's lists of {modality, tokenCount}."""
_AUDIO: Final = ("audio_tokens", "audio")
_IMAGE: Final = ("image_tokens", "image")
"""Names in an object of details; the last is Google's modality."""
_ONLY_READ: Final = ("embedding", "rerank")
"""The operations without an output."""


def known(usage: Usage) -> Usage:
    """The usage, or nothing if it is of zeros only: systems write them where they know nothing.

    An answer to no input at all is none: then only the input is unknown.
    """
    if usage.get("input_tokens") == 0 and usage.get("output_tokens"):
        return usage | {"input_tokens": None}
    return usage if any(usage.values()) else {}


def add_up(input_tokens: int | None, read: int | None, written: int | None) -> int | None:
    """The whole input, of an input without the cached and the cache-written tokens."""
    return None if input_tokens is None else input_tokens + (read or 0) + (written or 0)


def by_total(
    input_tokens: int | None, output_tokens: int | None, cache: Cache, total: int | None
) -> tuple[int | None, int | None]:
    """The whole input and output, of counts that may leave out what their total has.

    The input leaves out what was read from the cache, or written to it, or both, if only with it they make up
    the total; what else is missing from the total is thoughts, which are output.
    """
    if input_tokens is None:
        return None, output_tokens
    read, written = cache[0] or 0, cache[1] or 0
    if output_tokens is not None and total is not None:
        missing = total - input_tokens - output_tokens
        if missing > 0 and missing in (read, written, read + written):
            return input_tokens + missing, output_tokens
        if missing > 0 and input_tokens:
            return input_tokens, output_tokens + missing
    # Parts are not more than the whole.
    return input_tokens + (written if read <= input_tokens < read + written else 0), output_tokens


def of_total(usage: Usage, total: int | None, operation: str | None) -> Usage:
    """The usage of a call of this operation: a call without an output may tell only the total, its input."""
    if operation not in _ONLY_READ or not total or usage.get("input_tokens"):
        return usage
    return usage | {"input_tokens": total, "output_tokens": None}


def first_known(*counts: int | None) -> int | None:
    """The first of these counts that is known, also if it is 0."""
    for tokens in counts:
        if tokens is not None:
            return tokens
    return None


def cache_writes(details: Mapping[str, Any]) -> int | None:
    """The cache writes in an object of details. LangChain sets them to 0 if it tells them by lifetime."""
    short, long = count(details.get(_EPHEMERAL[0])), count(details.get(_EPHEMERAL[1]))
    return (short or 0) + (long or 0) or _first(details, _WRITTEN_INSIDE)


def usage_of(value: Any, operation: str | None = None) -> Usage:
    """The token counts of a usage object, and of Cohere's objects around one.

    Forms: OpenAI, Anthropic, Google, Bedrock, Cohere, Voyage, LangChain, Langfuse. Of Cohere what it bills
    counts, which may be less than the tokens that its model reads. operation: of the call; see `of_total`.
    """
    whole = mapping(value)
    usages = (whole["billed_units"], whole.get("tokens")) if "billed_units" in whole else (whole,)
    for usage in filter(None, map(mapping, usages)):
        if found := of_total(_tokens(usage), _first(usage, _TOTAL), operation):
            return found
    return {}


def _tokens(usage: Mapping[str, Any]) -> Usage:
    if _first(usage, _WHOLE) is None and _first(usage, _OWN) is not None:
        return known(_parts(usage))
    details, output_details = _details(usage, _INPUT_DETAILS), _details(usage, _OUTPUT_DETAILS)
    input_tokens = _first(usage, _INPUT)
    read, written = _first(usage, _READ), _first(usage, _WRITTEN)
    inside = _first(details, ("cached_tokens", "cache_read"))
    written_inside = cache_writes(details)
    output, total, apart = _output(usage), _first(usage, _TOTAL), 0
    cache: Cache = (None, written)
    if "prompt_tokens" not in usage:  # not of OpenAI's protocol
        input_tokens = add_up(input_tokens, _first(usage, _TOOL_USE), None)
        if inside is None and written_inside is None:
            apart, cache = (read or 0) + (written or 0), (read, written)
    # Anthropic, which tells no total, and Bedrock always count so; tools around them may not.
    alone = total is None or "inputTokens" in usage
    if input_tokens is not None and (alone or apart > input_tokens):
        input_tokens += apart
    else:
        input_tokens, output = by_total(input_tokens, output, cache, total)
    return known({
        "input_tokens": input_tokens,
        "output_tokens": output,
        "cached_tokens": first_known(inside, read, _first(usage, _GEMINI_READ)),
        "cache_write_tokens": first_known(written, written_inside),
        "cache_write_1h_tokens": _written_for_an_hour(usage, details),
        "reasoning_tokens": first_known(
            _first(output_details, ("reasoning_tokens", "reasoning", "thinking_tokens")),
            _first(usage, _THOUGHTS),
        ),
        "audio_input_tokens": _kind(details, usage, _GEMINI_INPUT_DETAILS, _AUDIO),
        "audio_output_tokens": _kind(output_details, usage, _GEMINI_OUTPUT_DETAILS, _AUDIO),
        "cached_audio_tokens": _kind(
            mapping(details.get("cached_tokens_details")), usage, _GEMINI_CACHE_DETAILS, _AUDIO
        ),
        "image_input_tokens": _kind(details, usage, _GEMINI_INPUT_DETAILS, _IMAGE),
        "image_output_tokens": _kind(output_details, usage, _GEMINI_OUTPUT_DETAILS, _IMAGE),
    })  # fmt: skip


def _written_for_an_hour(usage: Mapping[str, Any], details: Mapping[str, Any]) -> int | None:
    if "cacheDetails" in usage:  # of Bedrock
        parts = [mapping(part) for part in listed(usage["cacheDetails"])]
        return sum(count(part.get("inputTokens")) or 0 for part in parts if part.get("ttl") == "1h")
    told = mapping(usage.get("cache_creation")) or mapping(details.get("cache_creation_token_details"))
    return count((told or details).get("ephemeral_1h_input_tokens"))


def _output(usage: Mapping[str, Any]) -> int | None:
    output = _first(usage, _OUTPUT)
    if output is None:
        # Google counts the thoughts beside the candidates.
        candidates = _first(usage, _CANDIDATES)
        thoughts = _first(usage, _THOUGHTS)
        return None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0)
    return output


def _parts(usage: Mapping[str, Any]) -> Usage:
    """Langfuse's own keys: disjoint parts, whose names begin with input or output or speak of the cache."""
    parts = {name: tokens for name, value in usage.items() if (tokens := count(value)) is not None}
    cache = [name for name in parts if "cache" in name]
    written = [name for name in cache if "creation" in name or "write" in name]
    read = [name for name in cache if name not in written]
    inputs = [*cache, *(name for name in parts if name.startswith("input") and name not in cache)]
    outputs = [name for name in parts if name.startswith(("output", "reasoning"))]

    def added(names: Sequence[str], kind: str = "") -> int | None:
        found = [parts[name] for name in names if kind in name]
        return sum(found) if found else None

    whole, output = by_total(added(inputs), added(outputs), (None, None), _first(usage, _TOTAL))
    return {
        "input_tokens": whole,
        "output_tokens": output,
        "cached_tokens": added(read),
        "cache_write_tokens": added(written),
        "cache_write_1h_tokens": added(written, "1h"),
        "reasoning_tokens": added([*parts], "reasoning"),
        "audio_input_tokens": added(inputs, "audio"),
        "audio_output_tokens": added(outputs, "audio"),
        "cached_audio_tokens": added(read, "audio"),
        "image_input_tokens": added(inputs, "image"),
        "image_output_tokens": added(outputs, "image"),
    }


def _details(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        if name in usage and (found := mapping(usage[name])):
            return found
    return {}


def _kind(
    details: Mapping[str, Any], usage: Mapping[str, Any], lists: tuple[str, ...], names: tuple[str, ...]
) -> int | None:
    """The tokens of a kind (audio, image): in an object of details, or in one of Google's lists."""
    tokens = _first(details, names)
    if tokens is not None:
        return tokens
    for name in lists:
        for part in map(mapping, listed(usage[name])) if name in usage else ():
            of_kind = str(part.get("modality")).lower() == names[-1]
            if of_kind and (tokens := _first(part, ("tokenCount", "token_count"))):
                return tokens
    return None


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in usage and (tokens := count(usage[name])) is not None:
            return tokens
    return None

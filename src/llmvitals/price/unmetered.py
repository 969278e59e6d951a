"""Bounds the cost of calls that a provider may have billed, and that do not tell all their tokens.

A provider bills what its model has read and written, also if nobody waited for the end. So a call without
usage may be billed

* if it succeeded, such as a stream that was not asked for its usage;
* if it failed after a part of the answer came, or with an error that means that the caller stopped waiting
  while the model worked: cancelled, timed out, a connection that broke;
* if it tells its input or its output only: a usage is what is billed.

It is not billed if no model worked: rate limits, authentication, invalid requests, errors of the server,
requests that were never sent, and what a guardrail stopped (which `combine.unmetered` leaves out).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from llmvitals.price.cost import MOST, Rate
from llmvitals.record.call import MODEL_OPERATIONS, Call

WRITES: Final = ("chat", "completion")
"""Operations whose cost has two parts: what the model reads and what it writes."""
_EMBEDS: Final = "embedding"
"""The operation whose cost is only what the model reads. No text bounds the cost of the others."""

BYTES_A_TOKEN: Final = 10
"""The most UTF-8 bytes that a token has, on average over a text. The fewest are 1, by how tokenizers work.

Measured by benchmarks/token_bounds.py with seven tokenizers (o200k, cl100k, p50k, Claude's, Mistral's two,
DeepSeek's) on English questions, code, JSON, hex, base64, and sentences in 90 languages: 99.9 % of the texts
make at least 0.106 tokens a byte, half of them at most 0.387, and 99.9 % at most 1.000. Of 127,456 short
texts 88 have fewer tokens than this bound, of 8,610 long ones none. By characters the bounds would be wider:
one makes from 0.04 to 3 tokens, by its script.
"""
FRAME: Final = 16
"""Tokens that the frame of messages may add. In a long conversation the bound of its bytes leaves room."""

_CUT_OFF: Final = re.compile(
    r"cancel|abort|time[ _-]?d?[ _-]?out|deadline|disconnect|incomplete[ _-]?read|generator[ _-]?exit"
    r"|remote[ _-]?protocol|chunked[ _-]?encoding|client[ _-]?payload[ _-]?error|\bread[ _-]?error"
    r"|mid[ _-]?stream"
    r"|connection[ _-]?(reset|closed|broken|lost)|stream[ _-]?(closed|broken|ended|interrupted)"
    r"|client[ _-]?closed|broken[ _-]?pipe|^(408|499|504)$",
    re.IGNORECASE,
)
_NOT_SENT: Final = re.compile(r"(connect|pool|write)[ _-]?time", re.IGNORECASE)
"""Of the time limits those that end before a request is sent."""

_READ: Final = (("cached_tokens",),)
_WRITTEN: Final = (("cache_write_tokens",), ("cache_write_tokens", "cache_write_1h_tokens"))
"""What the provider's cache may have done with the input that makes it cheaper, and dearer."""

Tokens = tuple[int, int]
"""Input and output tokens."""


class Unmetered(NamedTuple):
    """A call that may be billed. low, high: nano-dollars, low <= high; 0 if it has no estimate."""

    estimated: bool
    low: int
    high: int


_UNKNOWN: Final = Unmetered(estimated=False, low=0, high=0)


def unmetered(call: Call, listed: Rate) -> Unmetered | None:
    """What a call without a cost may have cost; None if nobody bills it, or if its tokens are known.

    listed: the list price of a call with known tokens.

    low is what certainly was sent and received, at the lowest price; high is the most that was sent and the
    whole output limit, at the highest: all input may have been read from the provider's cache, or written to
    it. Without the bytes of the input, an output limit or a price there is no estimate.
    """
    known = (call.input_tokens is not None) + (call.output_tokens is not None)
    if known >= (2 if call.operation in WRITES else 1) or call.operation not in MODEL_OPERATIONS:
        return None
    if not known and not _may_be_billed(call):
        return None
    bounds = _bounds(call)
    if bounds is None:
        return _UNKNOWN
    least, most = bounds
    low = [listed(assumed)[0] for assumed in _assumed(call, least, _READ)]
    high = [listed(assumed)[0] for assumed in _assumed(call, most, _WRITTEN)]
    costs = [min(cost, MOST) for cost in (*low, *high) if cost is not None]
    if len(costs) < len(low) + len(high):
        return _UNKNOWN
    return Unmetered(estimated=True, low=min(costs[: len(low)]), high=max(costs))


def _may_be_billed(call: Call) -> bool:
    came = bool(call.output_bytes) or call.ttft_ms is not None
    return call.status == "ok" or came or _is_cut_off(call.error_type or "")


@lru_cache(maxsize=1_024)
def _is_cut_off(error: str) -> bool:
    return bool(_CUT_OFF.search(error)) and not _NOT_SENT.search(error)


def _bounds(call: Call) -> tuple[Tokens, Tokens] | None:
    """The fewest and the most input and output tokens; None if the most is unknown."""
    size, written, limit = call.input_bytes, call.output_bytes or 0, call.max_output_tokens
    if call.input_tokens is not None:
        least, most = call.input_tokens, call.input_tokens
    elif size is not None:
        least, most = size // BYTES_A_TOKEN, size + FRAME
    else:
        return None
    if call.output_tokens is not None:
        return (least, call.output_tokens), (most, call.output_tokens)
    if call.operation == _EMBEDS:
        return (least, 0), (most, 0)
    if call.operation not in WRITES or limit is None:
        return None
    return (least, min(written // BYTES_A_TOKEN, limit)), (most, limit)


def _assumed(call: Call, tokens: Tokens, cache: Sequence[Sequence[str]]) -> Iterator[Call]:
    """The call with these tokens, without a cache, and for each of `cache`; what it tells itself is kept."""
    size, output = tokens
    same: Any = call  # which msgspec made, though type checkers are shown CallEvent
    for names in ((), *cache) if call.input_tokens is None else ((),):
        fields = {"input_tokens": size, "output_tokens": output, **dict.fromkeys(names, size)}
        yield msgspec.structs.replace(same, **fields)

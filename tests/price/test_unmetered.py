"""Calls that may be billed and do not tell their tokens: which they are, and that their cost lies within the bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmvitals.price import Prices
from llmvitals.price.unmetered import FRAME
from llmvitals.record.call import Call

PRICES = Prices()
MODELS = (
    ("openai", "gpt-4o"), ("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"), ("google", "gemini-2.5-flash"),
)  # fmt: skip
"""Lists with and without prices for the cache, for its writes, and with tiers by the size of the input."""
KNOWN = {"input_bytes": 1_000, "output_bytes": 200, "max_output_tokens": 500}


def call(**fields: Any) -> Call:
    return Call(**{"id": "c", "ts": 1_795_508_000_000, "provider": "openai", "model": "gpt-4o"} | fields)


@pytest.mark.parametrize(
    ("fields", "billed"),
    [
        ({}, True),
        ({"stream": True}, True),
        *(({"status": "error", "error_type": kind}, True) for kind in (
            "CancelledError", "APITimeoutError", "APIConnectionTimeoutError", "Timeout", "ReadTimeout", "timeout",
            "timed_out", "DeadlineExceeded", "APIUserAbortError", "AbortError", "GeneratorExit", "cancelled",
            "RemoteProtocolError", "ClientPayloadError", "ConnectionResetError", "client_disconnected", "499", "504",
            "MidStreamFallbackError", "context canceled",
        )),
        *(({"status": "error", "error_type": kind}, False) for kind in (
            "RateLimitError", "AuthenticationError", "BadRequestError", "ContextWindowExceededError", "NotFoundError",
            "InternalServerError", "ServiceUnavailableError", "OverloadedError", "APIConnectionError", "ConnectTimeout", "ThreadError", "InvalidPayloadError",
            "PoolTimeout", "WriteTimeout", "ContentPolicyViolationError", "429", "500", None,
        )),
        ({"status": "error", "error_type": "APIConnectionError", "ttft_ms": 80.0}, True),
        ({"status": "error", "error_type": "InternalServerError", "output_bytes": 1}, True),
        ({"status": "error", "error_type": "BadRequestError", "input_tokens": 9}, True),
        ({"input_tokens": 9}, True),
        ({"input_tokens": 9, "output_tokens": 0}, False),
        ({"operation": "embedding"}, True),
        ({"operation": "embedding", "input_tokens": 9}, False),
        ({"operation": "embedding", "input_tokens": 9, "output_tokens": 0}, False),
        ({"operation": "tool"}, False),
        ({"operation": "outcome", "model": ""}, False),
    ],
)  # fmt: skip
def test_what_a_model_has_worked_for_may_be_billed(fields: dict[str, Any], billed: bool) -> None:
    assert (PRICES.unmetered(call(**fields)) is not None) is billed


@example(model=MODELS[2], size=1_000, limit=10, fewer=1, read=0, written=1, received=1).via("the dearest")
@example(model=MODELS[2], size=1_000, limit=10, fewer=0, read=1, written=0, received=0).via("the cheapest")
@given(
    model=st.sampled_from(MODELS),
    size=st.integers(0, 1_000_000),
    limit=st.integers(0, 64_000),
    fewer=st.floats(0, 1),
    read=st.floats(0, 1),
    written=st.floats(0, 1),
    received=st.floats(0, 1),
)
def test_the_cost_lies_within_the_bounds_whatever_the_cache_did(
    model: tuple[str, str], size: int, limit: int, fewer: float, read: float, written: float, received: float
) -> None:
    provider, name = model
    least, most = size // 10, size + FRAME
    tokens = least + int(fewer * (most - least))
    output = int(received * limit)
    unknown = call(
        provider=provider, model=name, input_bytes=size, max_output_tokens=limit, output_bytes=output
    )
    estimate = PRICES.unmetered(unknown)
    assert estimate is not None
    assert estimate.estimated
    cached = int(read * tokens)
    true = call(
        provider=provider, model=name, input_tokens=tokens, output_tokens=output, cached_tokens=cached,
        cache_write_tokens=int(written * (tokens - cached)),
    )  # fmt: skip
    cost = PRICES.price(true)
    assert cost is not None
    assert estimate.low <= cost <= estimate.high


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        # gpt-4o: 2.50 dollars for a million, 1.25 from the cache, 10 for output.
        (KNOWN, 100 * 1_250 + 20 * 10_000, 1_016 * 2_500 + 500 * 10_000),
        ({"input_tokens": 40, "max_output_tokens": 500}, 40 * 2_500, 40 * 2_500 + 500 * 10_000),
        ({"output_tokens": 7, "input_bytes": 100}, 10 * 1_250 + 70_000, 116 * 2_500 + 70_000),
        (KNOWN | {"output_bytes": 99_000}, 100 * 1_250 + 500 * 10_000, 1_016 * 2_500 + 500 * 10_000),
        (
            {"operation": "embedding", "model": "text-embedding-3-small", "input_bytes": 1_000},
            100 * 20, 1_016 * 20,
        ),
        (KNOWN | {"provider": "acme", "model": "acme-1"}, None, None),
        (KNOWN | {"input_bytes": None}, None, None),
        (KNOWN | {"max_output_tokens": None}, None, None),
        (KNOWN | {"operation": "image"}, None, None),
        (KNOWN | {"service_tier": "other"}, None, None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_an_estimate_is_of_what_is_known_and_never_invented(
    fields: dict[str, Any], low: int | None, high: int | None
) -> None:
    expected = (False, 0, 0) if low is None else (True, low, high)
    assert PRICES.unmetered(call(**fields)) == expected


def test_an_estimate_is_at_most_what_a_cost_may_be() -> None:
    greatest = call(input_bytes=10**8, max_output_tokens=10**8, model="gpt-4")
    estimate = PRICES.unmetered(greatest)
    assert estimate is not None
    assert estimate.high <= 10**13


def test_an_estimate_changes_no_exact_cost() -> None:
    assert PRICES.assess(call(**KNOWN))[0] is None
    assert PRICES.unmetered(call(**KNOWN, input_tokens=5, output_tokens=5)) is None

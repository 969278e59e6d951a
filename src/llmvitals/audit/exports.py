"""Reads the usage and costs that providers bill, as their admin APIs give them.

OpenAI: /v1/organization/usage/completions (and embeddings) and /v1/organization/costs. Anthropic:
/v1/organizations/usage_report/messages and /v1/organizations/cost_report. A file has one page of an answer,
or a list of pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from llmvitals.errors import ConfigError

_CENTS: Final = 10_000_000
"""Nano-dollars: Anthropic writes amounts in cents."""
_DOLLARS: Final = 1_000_000_000
_CACHE_WRITES: Final = ("ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens")


@dataclass(slots=True)
class Amounts:
    """Requests, tokens and nano-dollars. None: not told. input_tokens: the cached ones included."""

    requests: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None

    def add(self, other: Amounts) -> None:
        """Add amounts; one that is not told leaves the sum as it is."""
        for field in fields(self):
            more = getattr(other, field.name)
            if more is not None:
                setattr(self, field.name, (getattr(self, field.name) or 0) + more)


@dataclass(frozen=True, slots=True)
class Billed:
    """What a provider bills for a day (UTC). model: "" for the costs of all."""

    provider: str
    day: str
    model: str
    amounts: Amounts


def read(path: Path) -> list[Billed]:
    """Read an export. Raises ConfigError that names what is wrong."""
    try:
        data = json.loads(path.read_bytes(), parse_float=Decimal)
        return [billed for page in (data if isinstance(data, list) else [data]) for billed in _page(page)]
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, RecursionError) as error:
        cure = "save the JSON that the usage or cost API of OpenAI or Anthropic answers, by day and model"
        raise ConfigError(f"{path} is no export that can be read ({type(error).__name__}): {cure}") from error


def _page(page: Mapping[str, Any]) -> Iterator[Billed]:
    for bucket in page["data"]:
        for result in bucket["results"]:
            if "starting_at" in bucket:
                yield _anthropic(bucket, result)
            else:
                yield _openai(bucket, result)


def _openai(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Billed:
    day = datetime.fromtimestamp(int(bucket["start_time"]), UTC).date().isoformat()
    if "amount" in result:
        amounts = Amounts(cost_nano=round(Decimal(result["amount"]["value"]) * _DOLLARS))
        return Billed("openai", day, "", amounts)
    amounts = Amounts(
        result.get("num_model_requests"),
        int(result["input_tokens"]),
        result.get("input_cached_tokens"),
        result.get("output_tokens"),
    )
    return Billed("openai", day, _model(result), amounts)


def _anthropic(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Billed:
    start = datetime.fromisoformat(bucket["starting_at"])
    day = start.astimezone(UTC).date().isoformat()
    if "amount" in result:
        amounts = Amounts(cost_nano=round(Decimal(result["amount"]) * _CENTS))
        return Billed("anthropic", day, "", amounts)
    written = result.get("cache_creation") or {}
    read_tokens = int(result.get("cache_read_input_tokens") or 0)
    whole = int(result["uncached_input_tokens"]) + read_tokens
    whole += sum(int(written.get(name) or 0) for name in _CACHE_WRITES)
    amounts = Amounts(None, whole, read_tokens, int(result["output_tokens"]))
    return Billed("anthropic", day, _model(result), amounts)


def _model(result: Mapping[str, Any]) -> str:
    model = result.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("no model")  # the export is not grouped by model
    return model.lower()

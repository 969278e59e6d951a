"""The tokens of calls by kind: of one call numbers, of many calls columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import Call

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
N = TypeVar("N", int, Ints)
"""A number of one call, or a column: a number for each of n calls."""


class Tokens(NamedTuple, Generic[N]):
    """Tokens by kind; 0 where they are unknown.

    written: to the cache, hour included; that alone where nothing else is known. hour: written for an hour.
    """

    input: N
    output: N
    cached: N
    written: N
    hour: N
    reasoning: N
    audio_input: N
    cached_audio: N
    image_input: N
    audio_output: N
    image_output: N


class TokenColumns(NamedTuple):
    """The tokens of n calls. by_kind (… × n): a row for each field of Tokens. known: flags of n calls."""

    by_kind: Ints
    input_known: Flags
    output_known: Flags

    @property
    def columns(self) -> Tokens[Ints]:
        """The rows by their names."""
        return Tokens(*self.by_kind)

    def take(self, places: Ints) -> TokenColumns:
        """Only the calls at these places."""
        return TokenColumns(
            np.take(self.by_kind, places, axis=1), self.input_known[places], self.output_known[places]
        )


def tokens(call: Call) -> Tokens[int]:
    """The tokens of one call."""
    hour = call.cache_write_1h_tokens or 0
    return Tokens(
        call.input_tokens or 0,
        call.output_tokens or 0,
        call.cached_tokens or 0,
        hour if call.cache_write_tokens is None else call.cache_write_tokens,
        hour,
        call.reasoning_tokens or 0,
        call.audio_input_tokens or 0,
        call.cached_audio_tokens or 0,
        call.image_input_tokens or 0,
        call.audio_output_tokens or 0,
        call.image_output_tokens or 0,
    )


def token_columns(calls: Sequence[Call]) -> TokenColumns:
    """The tokens of calls."""
    size, output = [call.input_tokens for call in calls], [call.output_tokens for call in calls]
    written, hour = (
        [call.cache_write_tokens for call in calls],
        [call.cache_write_1h_tokens for call in calls],
    )
    if any(hour):
        written = [part if whole is None else whole for whole, part in zip(written, hour, strict=True)]
    by_kind = (  # in the order of Tokens
        size,
        output,
        [call.cached_tokens for call in calls],
        written,
        hour,
        [call.reasoning_tokens for call in calls],
        [call.audio_input_tokens for call in calls],
        [call.cached_audio_tokens for call in calls],
        [call.image_input_tokens for call in calls],
        [call.audio_output_tokens for call in calls],
        [call.image_output_tokens for call in calls],
    )
    table = np.zeros((len(by_kind), len(calls)), np.int64)
    for row, column in zip(table, by_kind, strict=True):
        if any(column):
            row[:] = np.array([value or 0 for value in column] if None in column else column)
    return TokenColumns(table, _known(size), _known(output))


def _known(values: list[int | None]) -> Flags:
    if None not in values:
        return np.ones(len(values), np.bool_)
    return np.array([value is not None for value in values])

"""What tokens cost, in integers: of one call, or of many calls in columns."""

from __future__ import annotations

from typing import Generic, NamedTuple

from llmvitals.record.tokens import Flags, N, Tokens


class Coefficients(NamedTuple, Generic[N]):
    """A price list below or above the start of a tier, in fractions of a nano-dollar.

    unit: so many of them make a nano-dollar; even. The next twelve are the cost of a request, and of one more
    token of each kind. A part costs its difference to the whole, and cached audio, a part of two parts, its
    difference to both. The last five are 1 where a part has a price of its own, else 0. Tokens without one
    may be any other part as well.
    """

    unit: N
    request: N
    input: N
    cached: N
    written: N
    hour: N
    audio_input: N
    cached_audio: N
    image_input: N
    output: N
    reasoning: N
    audio_output: N
    image_output: N
    own_audio_input: N
    own_image_input: N
    own_reasoning: N
    own_audio_output: N
    own_image_output: N


def price(rate: Coefficients[N], used: Tokens[N]) -> tuple[N, N, bool | Flags]:
    """Price one call, or n calls of a column each.

    Returns nano-dollars, half to even; nano-dollars without any cache, half up; and whether no part of the
    tokens exceeds its whole (else the others mean nothing).
    """
    media = (used.audio_input + used.image_input + used.audio_output + used.image_output) > 0
    kept = used.cached_audio * media
    cache = (
        rate.cached * used.cached
        + rate.written * used.written
        + rate.hour * used.hour
        + rate.cached_audio * kept
    )
    total = (
        rate.request
        + rate.input * used.input
        + rate.audio_input * used.audio_input
        + rate.image_input * used.image_input
        + rate.output * used.output
        + rate.reasoning * used.reasoning
        + rate.audio_output * used.audio_output
        + rate.image_output * used.image_output
    )
    half = rate.unit // 2
    nano = (total + cache) // rate.unit
    rest = total + cache - nano * rate.unit
    nano = nano + ((rest > half) | ((rest == half) & (nano % 2 == 1)))
    gross = nano + ((total + half) // rate.unit - nano) * (cache != 0)
    return nano, gross, _consistent(rate, used, kept)


def _consistent(rate: Coefficients[N], used: Tokens[N], kept: N) -> bool | Flags:
    parts_of_input = (
        used.cached
        + used.written
        + rate.own_audio_input * (used.audio_input - kept)
        + rate.own_image_input * used.image_input
    )
    parts_of_output = (
        rate.own_reasoning * used.reasoning
        + rate.own_audio_output * used.audio_output
        + rate.own_image_output * used.image_output
    )
    consistent: bool | Flags = (
        (parts_of_input <= used.input)
        & (used.hour <= used.written)
        & (used.audio_input <= used.input)
        & (used.image_input <= used.input)
        & (kept <= used.audio_input)
        & (kept <= used.cached)
        & (parts_of_output <= used.output)
        & (used.reasoning <= used.output)
        & (used.audio_output <= used.output)
        & (used.image_output <= used.output)
    )
    return consistent

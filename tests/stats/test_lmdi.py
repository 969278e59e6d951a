"""The split of a change: its parts sum to the whole, and nothing depends on the order or on which time is first."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.stats.lmdi import MIX, VOLUME, Item, logarithmic_mean, rounded, split

FACTORS = ("tokens", "price", "cache")
amounts = st.just(0.0) | st.floats(1e-3, 1e15) | st.integers(1, 10**15).map(float)


@st.composite
def chains(draw) -> tuple[float, ...]:
    """Calls and what follows from them: where there are no calls there is nothing; other members may be 0."""
    calls = draw(st.just(0.0) | st.integers(1, 10**6).map(float))
    return (calls, *(draw(amounts) if calls else 0.0 for _ in FACTORS))


items = st.lists(
    st.builds(Item, st.sampled_from("abcde"), st.just(FACTORS), chains(), chains(), st.sampled_from([1, -1])),
    min_size=1,
    max_size=8,
)


def volume(found: list[Item]) -> tuple[float, float]:
    return sum(item.before[0] for item in found) or 1.0, sum(item.now[0] for item in found) or 1.0


def swapped(found: list[Item]) -> list[Item]:
    return [item._replace(before=item.now, now=item.before) for item in found]


@given(items)
def test_the_parts_sum_to_the_whole(found):
    whole = math.fsum(item.sign * (item.now[-1] - item.before[-1]) for item in found)
    most = max(abs(amount) for item in found for amount in (item.before[-1], item.now[-1]))
    parts = split(found, volume(found))
    assert math.fsum(parts.values()) == pytest.approx(whole, rel=1e-9, abs=1e-9 * most + 1e-9)


@given(items)
def test_rounded_parts_sum_to_the_rounded_whole_and_each_is_next_to_its_own(found):
    parts = split(found, volume(found))
    integers = rounded(parts)
    assert sum(integers.values()) == round(sum(map(Fraction, parts.values())))
    assert all(abs(integers[place] - part) < 1 + 1e-9 * abs(part) for place, part in parts.items())


@given(items)
def test_exchanged_times_give_the_opposite(found):
    before, now = volume(found)
    there, back = split(found, (before, now)), split(swapped(found), (now, before))
    assert back == {place: -part for place, part in there.items()}
    assert rounded(there) == {place: -part for place, part in rounded(back).items()} or not round(
        sum(there.values())
    )


@given(items, st.data())
def test_the_order_of_keys_plays_no_part(found, data):
    assert split(data.draw(st.permutations(found)), volume(found)) == split(found, volume(found))


@given(items)
def test_what_has_not_changed_has_no_parts(found):
    same = [item._replace(now=item.before) for item in found]
    assert set(split(same, volume(same)).values()) <= {0.0}


@given(chains().filter(lambda chain: chain[-1] > 0), st.integers(2, 9), st.sampled_from([1, -1]))
def test_one_factor_that_changed_has_it_all(chain, times, sign):
    for place, factor in enumerate((VOLUME, *FACTORS)):
        if not all(chain[place:]):
            continue
        now = tuple(amount * times if at >= place else amount for at, amount in enumerate(chain))
        other = Item("b", FACTORS, (10.0, 0.0, 0.0, 0.0), (10.0, 0.0, 0.0, 0.0))
        found = [Item("a", FACTORS, chain, now, sign)] + ([other] if place else [])
        parts = split(found, volume(found))
        assert parts["a", factor] == pytest.approx(sign * (now[-1] - chain[-1]), rel=1e-9)


@pytest.mark.parametrize(
    ("before", "now", "factor"),
    [
        ((0, 0, 0, 0), (5, 50, 500, 400), MIX),
        ((5, 0, 0, 0), (5, 50, 500, 400), "tokens"),
        ((5, 50, 0, 0), (5, 50, 500, 400), "price"),
        ((5, 50, 500, 0), (5, 50, 500, 400), "cache"),
        ((5, 0, 0, 0), (5, 0, 500, 400), "price"),
    ],
)
def test_what_comes_and_what_goes_is_due_to_what_was_nothing(before, now, factor):
    for first, then, sign in ((before, now, 1), (now, before, -1)):
        told = split([Item("a", FACTORS, first, then)], (first[0] + 10, then[0] + 10))
        assert {name: part for (_, name), part in told.items() if part} == {factor: sign * 400}


def test_it_is_the_limit_of_ever_smaller_numbers():
    now = (5.0, 50.0, 500.0, 400.0)
    near = split([Item("a", FACTORS, tuple(1e-300 * x for x in now), now)], (10.0, 15.0))
    assert near["a", MIX] == pytest.approx(400, rel=0.01)


def test_a_split_that_can_be_done_by_hand():
    # 10 calls at 100 tokens and 2 each became 20 at 200 and 1 each: the sums are 2,000 and 4,000.
    item = Item("a", ("tokens", "price"), (10, 1_000, 2_000), (20, 4_000, 4_000))
    parts = split([item], (10, 20))
    assert parts["a", VOLUME] == pytest.approx(2_000)
    assert parts["a", "tokens"] == pytest.approx(2_000)
    assert parts["a", "price"] == pytest.approx(-2_000)
    assert parts["a", MIX] == pytest.approx(0)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_the_logarithmic_mean_lies_between(a, b):
    mean = logarithmic_mean(a, b)
    assert min(a, b) * (1 - 1e-9) <= mean <= max(a, b) * (1 + 1e-9)
    assert logarithmic_mean(a, 0) == logarithmic_mean(0, 0) == 0


@given(st.lists(st.fractions(-100, 100, max_denominator=1000), min_size=1, max_size=9))
def test_the_largest_remainders_are_rounded_up(fractions):
    parts = {(str(place), "x"): float(part) for place, part in enumerate(fractions)}
    assert sum(rounded(parts).values()) == round(float(sum(fractions, Fraction(0))))

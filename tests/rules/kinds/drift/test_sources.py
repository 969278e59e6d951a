"""Drift and who makes the calls: one user's burst is no drift, the same calls of many users are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation import BETWEEN, NEW, about, images, talk
from llmvitals.rules.kinds.drift import sources
from llmvitals.rules.kinds.drift.baseline import reference_of
from llmvitals.rules.kinds.drift.calls import SampledCall
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.window import SECOND

RULE = Drift(learn="6h", series=1)
LEARN = 360
PANE = 10 * SECOND
CALLS = 5
"""Of a pane."""
ONE_BY_ONE, ALL_OF_ONE = 0, CALLS


def fed(
    state: dict, seed: int, start: int, count: int, *, burst: int = 0, alone: int = 0, topic: int = 3
) -> list:
    """Minutes of six panes. burst: so many calls of a pane are about the topic; alone: of one source."""
    rng, detector, said = np.random.default_rng(seed), RULE.detector(PANE, ()), []
    (about_one,) = np.nonzero(images()[1] == topic)
    for pane in range(6 * start, 6 * (start + count)):
        rows = talk(rng, CALLS)
        rows[:burst] = rng.choice(about_one, burst)
        said += detector.take(state, pane, about(rows, f"{seed}.{pane}", alone=alone))
    return [reading for reading in said if reading.stands]


def learned(alone: int) -> bytes:
    state: dict = {}
    fed(state, 1, 0, LEARN, alone=alone)
    assert reference_of(state)
    return msgspec.msgpack.encode(state)


@pytest.fixture(scope="module")
def of_many() -> bytes:
    """The packed state of a detector whose calls are each of a source of its own."""
    return learned(ONE_BY_ONE)


@pytest.fixture(scope="module")
def of_one() -> bytes:
    """The same, of calls that all have one source, such as the only user of an API."""
    return learned(ALL_OF_ONE)


@pytest.mark.parametrize("seed", range(4))
def test_a_burst_of_one_user_is_no_drift_and_of_many_is(of_many, seed):
    """Half an hour in which three of five calls are about one known topic."""
    verdicts = {}
    for alone in (3, ONE_BY_ONE):
        state = msgspec.msgpack.decode(of_many)
        fed(state, 10 + seed, LEARN, 30)
        readings = fed(state, 20 + seed, LEARN + 30, 30, burst=3, alone=alone)
        verdicts[alone] = {reading.verdict for reading in readings}
    assert "breach" not in verdicts[3]
    assert "breach" in verdicts[ONE_BY_ONE]


@pytest.mark.parametrize("seed", range(3))
def test_what_one_user_asks_often_is_less_unusual_than_what_many_ask(of_many, seed):
    """Half an hour in which two of five calls are about what is near a known topic."""
    unusual = {}
    for alone in (2, ONE_BY_ONE):
        state = msgspec.msgpack.decode(of_many)
        readings = fed(state, 50 + seed, LEARN, 30, burst=2, alone=alone, topic=BETWEEN)
        unusual[alone] = np.mean([reading.stands[0].measures["unusual"] for reading in readings])
    assert unusual[2] < 0.9 * unusual[ONE_BY_ONE]
    assert unusual[ONE_BY_ONE] > 1


@pytest.mark.parametrize("seed", range(3))
def test_a_new_topic_is_found_if_only_one_user_brings_it(of_many, seed):
    """In a tenth of the calls."""
    state = msgspec.msgpack.decode(of_many)
    rng, detector, said = np.random.default_rng(seed), RULE.detector(PANE, ()), []
    for pane in range(6 * LEARN, 6 * (LEARN + 60)):
        rows, alone = talk(rng, CALLS), int(rng.random() < CALLS / 10)
        rows[:alone] = rng.choice(np.flatnonzero(images()[1] == NEW), alone)
        said += detector.take(state, pane, about(rows, f"{seed}.{pane}", alone=alone))
    assert "breach" in {reading.verdict for reading in said}


def test_where_one_user_makes_all_calls_a_change_is_still_found(of_one):
    state = msgspec.msgpack.decode(of_one)
    assert unpacked(reference_of(state)).crowding[0] > 100
    quiet = fed(state, 31, LEARN, 30, alone=ALL_OF_ONE)
    changed = fed(state, 32, LEARN + 30, 30, burst=3, alone=ALL_OF_ONE)
    assert "breach" not in {reading.verdict for reading in quiet}
    assert "breach" in {reading.verdict for reading in changed}


def test_a_reference_of_an_older_version_weighs_all_calls_alike(of_many):
    state = msgspec.msgpack.decode(of_many)
    reference = unpacked(state["reference"])
    state["reference"] = msgspec.msgpack.encode([*msgspec.structs.astuple(reference)[:-2], 3.0])
    readings = fed(state, 40, LEARN, 30, burst=3, alone=3)
    assert "breach" in {reading.verdict for reading in readings}


def test_shape_has_wider_limits_where_calls_come_in_few_groups(of_many):
    """A group that is heard for some minutes moves its random features far."""
    shapes = {}
    for overdispersion in (0.5, 1.0, 16.0):
        state = msgspec.msgpack.decode(of_many)
        reference = unpacked(state["reference"])
        state["reference"] = msgspec.structs.replace(reference, overdispersion=overdispersion).pack()
        (*_, last) = fed(state, 60, LEARN, 3, burst=4)
        shapes[overdispersion] = last.stands[0].measures["shape"]
    assert shapes[0.5] == shapes[1.0] > 1 > shapes[16.0]


def test_limits_that_were_not_measured_are_wider_where_calls_come_in_few_groups():
    """Each minute has its own topic, in four of five calls."""
    state, rng, detector = {}, np.random.default_rng(70), RULE.detector(PANE, ())
    for pane in range(6 * LEARN):
        rows = talk(rng, CALLS)
        rows[:4] = rng.choice(np.flatnonzero(images()[1] == pane // 6 * 7 % NEW), 4)
        detector.take(state, pane, about(rows, f"{pane}"))
    reference = unpacked(reference_of(state))
    assert reference.overdispersion > 3
    wider = 1.1 * reference.overdispersion ** (1 / 3)
    for found in (reference.topics.calibration, reference.unusual.calibration, reference.joint):
        limits, measured = found.limits(43_200), len(found.scales)
        assert limits[measured:] == pytest.approx(wider * limits[measured - 2 : measured].max())


def calls(by_source: list[int]) -> list[SampledCall]:
    """Calls of sources that have made so many each."""
    return [SampledCall("", b"", 0, source) for source, count in enumerate(by_source) for _ in range(count)]


@given(st.lists(st.lists(st.integers(0, 8), max_size=8), max_size=8), st.floats(1, 100), st.floats(1, 100))
def test_a_step_is_at_least_as_crowded_as_by_itself_and_no_call_weighs_more_than_one(steps, hour, now):
    state: dict = {}
    for each in map(calls, steps):
        crowded, alone = sources.crowding(state, each, 1), sources.crowding({}, each, 1)
        assert all(one >= other >= 1 for one, other in zip(crowded, alone, strict=True))
        assert crowded[0] >= crowded[1]
        weight, unusual = (one(crowded, (hour, now)) for one in (sources.weight, sources.unusual_weight))
        assert 0 < weight <= unusual <= 1
    assert len(state.get("sources", ())) <= 64


def test_a_source_is_heavier_the_more_it_calls_and_is_forgotten_in_hours():
    state: dict = {}
    assert sources.crowding(state, calls([20]), 1) == (20, 20)
    assert sources.crowding(state, calls([20]), 1) == pytest.approx((40, 37.5), rel=0.01)
    assert sources.crowding(state, calls([10, *[1] * 10]), 1) == pytest.approx((25, 22), rel=0.05)
    assert sources.crowding(state, [], 1) == (1, 1)
    assert sources.crowding(state, calls([20]), 30)[1] == pytest.approx(21, rel=0.05)
    assert sources.crowding(state, calls([1] * 20), 600) == pytest.approx((1, 1), rel=0.01)


def test_what_an_older_version_counted_goes_on_and_what_it_learned_does_not():
    state: dict = {"sources": [[0, 30.0]], "crowding": [12.0, 5]}
    assert sources.crowding(state, calls([10]), 1) == pytest.approx((39.5, 10))
    assert sources.weight((39.5, 10), sources.usual(state)) == 1
    sources.learn(state, (4.0, 2.0))
    assert sources.usual(state) == pytest.approx((4, 2))


def test_what_is_usual_is_learned_and_a_burst_counts_for_little():
    state: dict = {}
    for crowded in [2.0] * 95 + [200.0] * 5:
        sources.learn(state, (crowded, crowded))
    assert sources.usual(state) == pytest.approx((2, 2), rel=0.3)
    assert sources.weight((1.5, 1.5), sources.usual(state)) == 1
    assert sources.weight((200.0, 200.0), sources.usual(state)) < 0.02
    assert sources.weight((200.0, 200.0), sources.usual({})) == 1


def test_where_sessions_are_long_a_burst_of_minutes_weighs_by_its_minutes():
    """Sessions of forty calls in forty minutes, twelve at a time; then one makes 120 calls in six minutes."""
    state: dict = {}
    for minute in range(240):
        live = [1 + place + 12 * ((minute + 3 * place) // 40) for place in range(12)]
        step = [SampledCall("", b"", 0, source) for source in live]
        sources.learn(state, sources.crowding(state, step, 1))
    hour, now = sources.usual(state)
    assert hour > 2 * now
    for _ in range(6):
        crowded = sources.crowding(state, [*calls([20]), *step], 1)
    assert sources.weight(crowded, (hour, now)) < 0.15 < sources.weight(crowded, (hour, 0))

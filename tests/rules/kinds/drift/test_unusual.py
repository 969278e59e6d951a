"""Drift on unusual calls: a new topic is seen soon, a weekend is no drift, few calls are learned from."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest

from conversation import NEW, SPACE, TOPICS, about, images, talk
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.drift.baseline import reference_of
from llmvitals.rules.kinds.drift.calls import SampledCall, distinct
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.rules.kinds.drift.witness import small
from llmvitals.stats import centroids, hotelling
from llmvitals.window import DAY, HOUR, MINUTE, SECOND

LEARN = 360
CALLS = 30
RULE = Drift(learn="6h", series=1)
OLDER = 9
"""Fields of a reference before calls were weighed."""
FRIDAY = DAY // MINUTE
SATURDAY = 2 * DAY // MINUTE
WEEK = 7 * DAY // MINUTE
RARE = np.where(np.arange(TOPICS) < TOPICS // 2, 4.0, 1.0)


def fed(state: dict, contents: list[Vitals], start: int, rule: Drift = RULE) -> list:
    """The readings that are new, not those that say again what holds."""
    detector = rule.detector(MINUTE, ())
    said = [reading for at, each in enumerate(contents, start) for reading in detector.take(state, at, each)]
    return [reading for reading in said if reading.stands]


def minutes(seed: int, count: int, *, calls: int = CALLS, **kind) -> list[Vitals]:
    rng = np.random.default_rng(seed)
    return [about(talk(rng, calls, **kind), f"{seed}.{number}") for number in range(count)]


def mixed(seed: int, count: int, weights: np.ndarray, *, new: float = 0.0) -> list[Vitals]:
    """Minutes of topics with these weights, and of a share of the new topic."""
    rng, (_, topic) = np.random.default_rng(seed), images()
    shares = np.where(topic >= NEW, 0, weights[np.minimum(topic, TOPICS - 1)])
    fresh = np.flatnonzero(topic == NEW)
    made = []
    for number in range(count):
        rows = rng.choice(len(topic), CALLS, p=shares / shares.sum())
        made.append(
            about(np.where(rng.random(CALLS) < new, rng.choice(fresh, CALLS), rows), f"{seed}.{number}")
        )
    return made


def verdicts(readings: list) -> set[str]:
    return {reading.verdict for reading in readings}


def in_panes(state: dict, seed: int, count: int, start: int, *, new: float = 0.0) -> list:
    """The same of minutes of six panes, so that nearly all vectors are known."""
    rng, detector, said = np.random.default_rng(seed), RULE.detector(10 * SECOND, ()), []
    for at in range(6 * start, 6 * (start + count)):
        said += detector.take(state, at, about(talk(rng, CALLS // 6, new=new), f"{seed}.{at}"))
    return [reading for reading in said if reading.stands]


@pytest.fixture(scope="module")
def learned() -> bytes:
    """The packed state of a detector that has just learned."""
    state: dict = {}
    in_panes(state, 1, LEARN, 0)
    return msgspec.msgpack.encode(state)


@pytest.fixture
def state(learned) -> dict:
    return msgspec.msgpack.decode(learned)


def test_a_new_topic_of_few_calls_is_found_soon_and_named(learned):
    """1.5 calls a minute. The mean of all calls took 45 minutes and more."""
    delays = []
    for seed in range(6):
        state = msgspec.msgpack.decode(learned)
        readings = [
            *in_panes(state, 40 + seed, 60, LEARN),
            *in_panes(state, 50 + seed, 40, LEARN + 60, new=0.05),
        ]
        first = next((place for place, each in enumerate(readings) if each.verdict == "breach"), 100)
        assert first >= 60
        delays.append(first - 59)
    assert np.median(delays) <= 18
    note = readings[-1].note
    assert note.startswith("other topics: calls unlike those that were learned; new: calls like ")
    (named,) = re.findall(r"new: calls like ([^;]*)", note)
    topic = images()[1]
    assert [topic[int(trace.split("-")[1])] for trace in named.split(", ")] == [NEW] * 3


@pytest.fixture(scope="module")
def thursday() -> bytes:
    """The packed state of a detector that has learned a day."""
    state: dict = {}
    fed(state, mixed(2, DAY // MINUTE, RARE), 0, Drift(learn="1d", series=1))
    assert reference_of(state)
    return msgspec.msgpack.encode(state)


def test_a_weekend_with_other_shares_of_topics_is_no_drift(thursday):
    """A Thursday is learned. It speaks on the first Saturday, and knows the second one."""
    state: dict = msgspec.msgpack.decode(thursday)
    first = fed(state, mixed(3, 300, RARE[::-1]), SATURDAY)
    assert "breach" not in verdicts(first)
    assert "topics" not in first[0].stands[0].measures
    unseen = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    assert "breach" in verdicts(fed(unseen, mixed(4, 30, RARE[::-1], new=0.3), SATURDAY + 300))
    monday = fed(state, mixed(5, 120, RARE), 5 * DAY // MINUTE)
    assert "breach" not in verdicts(monday)
    second = fed(state, mixed(6, 240, RARE[::-1]), SATURDAY + WEEK)
    assert "breach" not in verdicts(second)
    assert second[0].stands[0].measures["topics"] < 1
    swapped = fed(state, mixed(7, 60, RARE), SATURDAY + WEEK + 240)
    assert max(each.stands[0].measures.get("topics", 0.0) for each in swapped[-10:]) > 1


def test_an_alert_that_holds_is_not_over_because_the_weekend_begins(thursday):
    state: dict = msgspec.msgpack.decode(thursday)
    friday = fed(state, mixed(8, 60, RARE[::-1]), FRIDAY + 540)
    assert friday[-1].verdict == "breach"
    (later,) = fed(state, mixed(9, 1, RARE[::-1]), FRIDAY + 600)
    assert (later.verdict, "topics" in later.stands[0].measures) == ("hold", False)


def test_a_reference_of_an_older_version_goes_on(state):
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(state["reference"])[:OLDER])
    state["reference"] = old
    state["recent"] = [list(call[:2]) for call in state["recent"]]
    readings = fed(state, minutes(10, 30), LEARN)
    assert verdicts(readings) == {"clear"}
    assert "unusual" not in readings[-1].stands[0].measures
    weekend = fed(state, minutes(11, 30, new=0.4), SATURDAY)
    assert weekend[-1].verdict == "breach"
    assert "new: calls like" in weekend[-1].note


def test_what_an_older_version_has_begun_to_learn_is_learned_anew():
    state: dict = {"space": SPACE, "learning": {"part": 1, "minutes": 9, "steps": 9, "heads": [{}, {}]}}
    first, second = fed(state, minutes(12, 2), 0)
    assert first.note == "learning anew, because an earlier version had begun to learn in another way"
    assert second.note == "learning"


def test_it_learns_longer_from_few_calls_but_not_for_ever():
    rule, state, taken = Drift(learn="6h", series=1, min_calls=2), {}, 0
    for at, each in enumerate(minutes(13, 4 * LEARN, calls=2)):
        readings = fed(state, [each], at, rule)
        if reference_of(state):
            taken = at + 1
            break
    assert 1.9 * LEARN < taken < 2.2 * LEARN
    shares = readings[-1].stands[0].measures["learned_share"]
    assert shares == 1
    (told,) = fed(state, minutes(14, 1, calls=2), taken, rule)
    many: dict = {}
    fed(many, minutes(1, LEARN), 0)
    (more,) = fed(many, minutes(14, 1), LEARN)
    assert told.stands[0].measures["visible_share"] > more.stands[0].measures["visible_share"]
    assert told.stands[0].measures["limits_learned_s"] >= LEARN * 0.3 * 60


def test_it_does_not_take_a_pause_for_time_to_learn():
    state: dict = {}
    fed(state, minutes(15, 30), 0)
    fed(state, minutes(16, 1), 100 * DAY // MINUTE)
    assert reference_of(state) is None


def test_calls_that_are_repeated_are_one():
    rng = np.random.default_rng(17)
    rows = np.repeat(rng.choice(4_000, 4, replace=False), 3)
    x = images()[0].x[rows]
    calls = [
        SampledCall(str(n), small([(0, "", each.astype("<i2").tobytes())])[0][2], HOUR)
        for n, each in enumerate(x)
    ]
    assert len(distinct(None, [], calls).x) == 4
    assert len(distinct(None, calls[:3], calls[3:]).x) == 3
    later = [call._replace(at=2 * HOUR) for call in calls]
    assert len(distinct(None, calls, later).x) == 4


def test_a_loop_of_few_texts_is_learned_without_unusual_calls():
    state: dict = {}
    fed(state, minutes(18, 2 * LEARN, loops=CALLS), 0)
    reference = unpacked(reference_of(state))
    assert (reference.unusual, reference.distinct_calls) == (None, 0)


def test_centroids_are_the_middles_of_what_comes():
    rng, state = np.random.default_rng(19), {}
    middles = centroids.units(rng.normal(size=(6, 32)))
    for _ in range(60):
        near = middles[rng.integers(6, size=20)] + 0.05 * rng.normal(size=(20, 32))
        centroids.gather(state, centroids.units(near), 24)
    packed = centroids.packed(np.frombuffer(state["centroids"], "<f2").astype(float).reshape(-1, 32))
    found = centroids.unpacked(packed, 32)
    assert len(found) == 24
    assert (found @ middles.T).max(axis=1).min() > 0.85
    assert (found @ middles.T).max(axis=0).min() > 0.97


def test_topics_and_unusual_calls_are_compared_as_one_vector():
    rng, memories = np.random.default_rng(20), [{}, {}, {}]
    for calls in rng.integers(10, 60, 50).tolist():
        first, second = rng.normal(size=(2, 12)).astype(np.float32)
        for memory, white in zip(memories, (first, second, np.concatenate([first, second])), strict=True):
            hotelling.remember(memory, calls, white, np.inf)
    one, other, both = (hotelling.roots(memory, 5_000) for memory in memories)
    assert hotelling.joint(one, other) == pytest.approx(both, rel=1e-5)


def test_both_heads_together_see_more_than_each(learned):
    """3 % of the calls. Without the joint head the others have more of the promised false alarms."""
    state, without = msgspec.msgpack.decode(learned), msgspec.msgpack.decode(learned)
    reference = unpacked(state["reference"])
    assert reference.joint
    without["reference"] = msgspec.structs.replace(reference, joint=None).pack()
    scores = [in_panes(each, 30, 60, LEARN, new=0.03) for each in (state, without)]
    greatest, other = (max(readings, key=lambda each: each.value) for readings in scores)
    assert greatest.value > 1.05 * other.value
    assert greatest.note.startswith("other topics")
    assert re.search(r"new: calls like \S+", greatest.note)


def test_distinct_calls_are_compared_at_100_calls_a_minute_too():
    """With eight whole vectors of a pane, fewer than half of the calls were known, and `topics` looked at all."""
    state: dict = {}
    rng, detector = np.random.default_rng(21), Drift(learn="1h", series=1).detector(10 * SECOND, ())
    for at in range(6 * 90):
        detector.take(state, at, about(talk(rng, 16), f"21.{at}"))
    reference = unpacked(reference_of(state))
    assert reference.distinct_calls > 0.7 * reference.calls
    assert reference.joint

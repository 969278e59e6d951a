"""Drift and embedding models: the model of most calls is learned, and a few calls of another one change nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from conversation import SPACE, moments, talk
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.drift.baseline import reference_of
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.window import DAY, HOUR, MINUTE

OTHER, THIRD = "model-b/48", "model-c/48"
LEARN = 60
RULE = Drift(learn="1h", series=1)
MINUTES = DAY // MINUTE
A_DAY = "most embeddings have come from {} for a day: learning a new reference"


def mixed(seed: int, count: int, *shares: tuple[str, float], calls: int = 20) -> list[Vitals]:
    """Minutes of calls; shares: of each space."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        counts = rng.multinomial(calls, [share for _, share in shares])
        parts = {
            space: moments(talk(rng, int(n)), f"{seed}.{number}")
            for (space, _), n in zip(shares, counts, strict=True)
            if n
        }
        made.append(Vitals(meaning=parts))
    return made


def notes(state: dict, contents: list[Vitals], start: int, rule: Drift = RULE) -> list[tuple[int, str]]:
    """The minute and the note of each reading without a verdict, when it is new."""
    detector, found = rule.detector(MINUTE, ()), []
    for at, each in enumerate(contents, start):
        for reading in detector.take(state, at, each):
            if reading.verdict == "none" and (not found or found[-1][1] != reading.note):
                found.append((at, reading.note))
    return found


@pytest.fixture(scope="module")
def learned() -> bytes:
    """The packed state of a detector that has just learned."""
    state: dict = {}
    notes(state, mixed(1, LEARN * 2, (SPACE, 1.0)), 0)
    assert unpacked(reference_of(state)).space == SPACE
    return msgspec.msgpack.encode(state)


@pytest.fixture
def state(learned) -> dict:
    return msgspec.msgpack.decode(learned)


def test_after_a_change_of_model_that_of_most_calls_is_learned_although_few_calls_keep_the_old_one(state):
    start = 2 * LEARN
    said = notes(state, mixed(2, MINUTES + 10, (SPACE, 0.01), (OTHER, 0.99)), start)
    ((at, note),) = said
    assert note == A_DAY.format(OTHER)
    assert abs(at - start - MINUTES) <= 5
    assert state["space"] == OTHER
    notes(state, mixed(3, 2 * LEARN, (SPACE, 0.01), (OTHER, 0.99)), start + MINUTES + 10)
    assert unpacked(reference_of(state)).space == OTHER


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_two_models_in_one_app_change_nothing(state, share):
    """Only the vectors of the learned one are compared."""
    said = notes(state, mixed(4, 2 * MINUTES, (SPACE, 1 - share), (OTHER, share)), 2 * LEARN)
    assert said == []
    assert unpacked(reference_of(state)).space == SPACE


def test_a_slow_move_to_another_model_is_one_change(state):
    """A tenth more each six hours; from seven tenths on the other one has twice as many."""
    said, start = [], 2 * LEARN
    for tenths in range(1, 11):
        shares = (SPACE, 1 - tenths / 10), (OTHER, tenths / 10)
        said += notes(state, mixed(10 + tenths, MINUTES // 4, *shares), start)
        start += MINUTES // 4
    said += notes(state, mixed(21, MINUTES, (OTHER, 1.0)), start)
    changes = [at for at, note in said if note == A_DAY.format(OTHER)]
    assert len(changes) == 1
    assert 2.5 < (changes[0] - 2 * LEARN) / MINUTES < 3


def test_a_model_that_is_rolled_back_within_a_day_is_not_learned(state):
    start, away = 2 * LEARN, 20 * HOUR // MINUTE
    gone = notes(state, mixed(5, away, (OTHER, 1.0)), start)
    assert [note for _, note in gone] == [
        f"no embeddings from {SPACE} for an hour; they now come from {OTHER}"
    ]
    assert notes(state, mixed(6, 2 * MINUTES, (SPACE, 1.0)), start + away) == []
    assert unpacked(reference_of(state)).space == SPACE
    assert "others" not in state, "another space was counted for ever"


def test_of_several_other_models_the_one_with_the_most_calls_is_learned(state):
    shares = (OTHER, 0.2), (THIRD, 0.8)
    said = notes(state, mixed(7, MINUTES + 10, *shares), 2 * LEARN)
    assert [note for _, note in said] == [
        f"no embeddings from {SPACE} for an hour; they now come from {THIRD}",
        A_DAY.format(THIRD),
    ]


@pytest.mark.parametrize(("model", "found"), [("model-a", "model-a/24"), ("model-a/48", SPACE)])
def test_a_named_model_may_change_its_dimension_but_a_named_space_stays(learned, model, found):
    state, rule = msgspec.msgpack.decode(learned), Drift(learn="1h", series=1, model=model)
    notes(state, mixed(8, MINUTES + 10, ("model-a/24", 0.99), (OTHER, 0.01)), 2 * LEARN, rule)
    assert state["space"] == found


def test_a_checkpoint_of_an_earlier_version_goes_on(state):
    """It had the name of the other space and no counts."""
    state["other"] = OTHER
    said = notes(state, mixed(9, MINUTES + 10, (OTHER, 1.0)), 2 * LEARN)
    assert said[-1][1] == A_DAY.format(OTHER)

"""Drift: learns what calls mean, is quiet while they mean it, and says soon when they don't, and which."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import stats

from conversation import NEW, SPACE, about, closer, images, talk
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds.drift import unusual
from llmvitals.rules.kinds.drift.baseline import adopted, reference_of
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.sketch.moments import merge_meaning
from llmvitals.stats import gumbel, hotelling
from llmvitals.stats.axes import KEPT, found, gather
from llmvitals.stats.whitening import RIDGE, whitening
from llmvitals.window import DAY, HOUR, MINUTE, SECOND
from panes import alerts, points, rule_engine

LEARN = 360
RULE = Drift(learn="6h", series=1)
CALLS = 30


def minutes(seed: int, count: int, *, calls: int = CALLS, **kind) -> list[Vitals]:
    rng = np.random.default_rng(seed)
    return [about(talk(rng, calls, **kind), f"{seed}.{number}") for number in range(count)]


def fed(state: dict, contents: list[Vitals], start: int = 0, rule: Drift = RULE) -> list:
    """The readings that are new, not those that say again what holds."""
    detector = rule.detector(MINUTE, ())
    said = [reading for at, each in enumerate(contents, start) for reading in detector.take(state, at, each)]
    return [reading for reading in said if reading.stands]


@pytest.fixture(scope="module")
def learned() -> bytes:
    """The packed state of a detector that has just learned."""
    state: dict = {}
    fed(state, minutes(1, LEARN))
    assert reference_of(state)
    return msgspec.msgpack.encode(state)


@pytest.fixture
def state(learned) -> dict:
    return msgspec.msgpack.decode(learned)


def test_it_is_silent_while_it_learns():
    state: dict = {}
    readings = fed(state, [*minutes(2, LEARN // 2), *minutes(3, LEARN // 2 - 1, new=0.5)])
    assert {reading.verdict for reading in readings} == {"clear"}
    assert reference_of(state) is None
    (stand,) = readings[-1].stands
    assert (stand.measures, stand.texts) == (
        {"reference_age_s": 0.0, "learned_share": 0.99},
        {"model": SPACE},
    )
    fed(state, minutes(4, 1), LEARN - 1)
    assert reference_of(state)


def test_noise_is_no_drift(state):
    readings = fed(state, minutes(5, 5_000), LEARN)
    assert sum(reading.verdict == "breach" for reading in readings) == 0
    # It does move: a statistic that can't is quiet, too.
    assert max(reading.value for reading in readings) > 0.5


@pytest.mark.parametrize(
    ("kind", "within", "head"),
    [({"new": 0.1}, 25, "other topics"), ({"new": 0.3}, 4, "other topics"), ({"loops": 9}, 10, "")],
)
def test_it_finds_a_change(state, kind, within, head):
    readings = fed(state, [*minutes(6, 60), *minutes(7, 30, **kind)], LEARN)
    first = next(place for place, reading in enumerate(readings) if reading.verdict == "breach")
    assert 60 <= first < 60 + within
    assert head in readings[first].note
    assert (readings[first].value, readings[first].limit) > (1.0, 1.0)


def test_it_finds_calls_that_are_more_alike_than_they_were(state):
    """The mean is what it was, so that no distance of centroids would tell."""
    rng = np.random.default_rng(29)
    readings = fed(state, [closer(talk(rng, CALLS), 0.8) for _ in range(3)], LEARN)
    assert readings[-1].verdict == "breach"
    assert readings[-1].stands[0].measures["topics"] < 0.5
    assert readings[-1].note.startswith("repeated texts, or the same topics in other shares")


def test_it_is_over_when_calls_are_what_they_were(state):
    readings = fed(state, [*minutes(8, 20, new=0.4), *minutes(9, 120)], LEARN)
    assert readings[19].verdict == "breach"
    assert readings[-1].verdict == "clear"
    assert readings[-1].note == "back to the reference"


def test_it_names_calls_that_are_new(state):
    readings = fed(state, minutes(10, 20, new=0.2), LEARN)
    note = readings[-1].note
    named = re.search(r"new: calls like (.*?);", note)
    assert named, note
    rows = [int(trace.split("-")[1]) for trace in named[1].split(", ")]
    _, topic = images()
    assert [topic[row] for row in rows] == [NEW] * 3
    assert re.search(r"missing: calls like 1\.\d+-\d+-\d+, ", note)


def test_one_users_burst_in_a_minute_is_no_drift(state):
    rng = np.random.default_rng(11)
    calm = minutes(12, 100)
    for at in range(10, 100, 40):
        calm[at] = about(talk(rng, CALLS, same=20), "burst")
    assert not [reading for reading in fed(state, calm, LEARN) if reading.verdict == "breach"]


def test_missing_minutes_are_none(state):
    detector = RULE.detector(MINUTE, ())
    rng, at, said = np.random.default_rng(13), LEARN, []
    for each in minutes(13, 600):
        at += int(rng.choice((1, 1, 1, 2, 7)))
        said += detector.take(state, at, each)
    at += 3 * DAY // MINUTE
    assert detector.wakes(state) < at
    (gone,) = detector.take(state, detector.wakes(state), None)
    assert (gone.verdict, gone.at % HOUR != 0) == ("none", True)
    assert "no embeddings from model-a/48 for an hour" in gone.note
    for step, each in enumerate(minutes(14, 60)):
        said += detector.take(state, at + step, each)
    assert {reading.verdict for reading in said} <= {"clear", "hold"}


def test_few_calls_are_put_together(state):
    single = minutes(15, 40, calls=4)
    readings = fed(state, single, LEARN)
    assert [reading.at // MINUTE - 1 - LEARN for reading in readings] == [*range(2, 40, 3)]
    assert readings[0].stands[0].counts["calls"] == 12


def test_other_vectors_are_not_compared(state, learned):
    twin = msgspec.msgpack.decode(learned)
    mixed, other = minutes(16, 50), minutes(17, 50, new=1.0)
    both = [
        Vitals(meaning={**a.meaning, "model-b/48": b.meaning[SPACE]})
        for a, b in zip(mixed, other, strict=True)
    ]
    assert fed(state, both, LEARN) == fed(twin, mixed, LEARN)


def test_another_model_is_learned_after_a_day(state):
    change = [Vitals(meaning={"model-b/48": each.meaning[SPACE]}) for each in minutes(18, 1_502)]
    detector, readings = RULE.detector(MINUTE, ()), []
    for at, each in enumerate(change, LEARN):
        readings += [each for each in detector.take(state, at, each) if each.verdict == "none"]
    readings = [next(same) for _, same in groupby(readings, lambda reading: reading.note)]
    assert readings[0].note == "no embeddings from model-a/48 for an hour; they now come from model-b/48"
    assert readings[1].at - readings[0].at == DAY - HOUR
    assert readings[1].note == "most embeddings have come from model-b/48 for a day: learning a new reference"
    assert state["space"] == "model-b/48"
    assert reference_of(state) is None


def test_a_rule_can_name_its_model():
    rule = Drift(model="model-b", learn="1h")
    state: dict = {}
    assert fed(state, minutes(19, 3), 0, rule) == []
    named = [Vitals(meaning={"model-b/48": each.meaning[SPACE]}) for each in minutes(19, 2)]
    assert len(fed(state, named, 3, rule)) == 2


def test_a_reference_can_be_taken_out_and_put_in(state):
    reference = reference_of(state)
    other: dict = {}
    fed(other, minutes(20, 10))
    adopted(other, reference)
    assert reference_of(other) == reference
    contents = minutes(21, 30, new=0.2)
    adopted(state, reference)
    assert fed(other, contents, LEARN) == fed(state, contents, LEARN)
    adopted(other, None)
    assert reference_of(other) is None
    assert fed(other, minutes(22, 1), 2 * LEARN)[0].note == "learning"
    with pytest.raises(ValueError, match="this is not a reference"):
        adopted(state, b"none")
    assert reference_of(state) == reference


def test_a_reference_is_small(state):
    fed(state, minutes(23, 20), LEARN)
    assert len(msgspec.msgpack.encode(state)) < 53_000
    assert 0.8 < unpacked(reference_of(state)).overdispersion < 1.2


def test_a_state_goes_through_a_checkpoint_and_any_batches(tmp_path):
    rule = "alert: A\ndrift: {learn: 1h, min_calls: 4, series: 1}\nfor: 5m"
    rng = np.random.default_rng(24)
    start = 1_700_006_400_000_000 // (10 * SECOND)
    panes = {
        start + at: about(talk(rng, 3, new=1.0 if at > 900 else 0), f"p{at}")
        for at in range(1_000)
        if rng.random() < 0.7 or at % 60 > 40
    }

    def heard(*, packed: bool, step: int) -> list:
        watched, state, said = rule_engine(tmp_path, rule), {}, []
        for low in range(start, start + 1_000, step):
            floor = min(low + step, start + 1_000)
            closed = [(pane, panes[pane]) for pane in range(low, floor) if pane in panes]
            if closed or watched.due(state) <= floor:
                view = watched.views[0].name
                said += watched.advance(view, (), state, floor=floor, closed=closed)
            if packed:
                state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
        return said

    whole = heard(packed=False, step=1_000)
    assert [alert.status for alert in alerts(whole)] == ["firing"]
    assert points(whole)[-1].measurement == "llm_drift"
    for step in (1, 7):
        again = heard(packed=True, step=step)
        assert (alerts(again), points(again)) == (alerts(whole), points(whole))


def test_a_minute_is_the_same_in_panes(state, learned):
    twin = msgspec.msgpack.decode(learned)
    detector = RULE.detector(10 * SECOND, ())
    rng, readings, sums = np.random.default_rng(25), [], []
    for at in range(30):
        parts = [about(talk(rng, 3), f"{at}.{part}") for part in range(5)]
        sums.append(Vitals(meaning=merge_meaning([part.meaning for part in parts])))
        for part, each in enumerate(parts):
            detector.take(twin, (LEARN + at) * 6 + part, each)
        readings += detector.take(twin, detector.wakes(twin), None)
    # So few calls that all whole vectors are known of the minute as of its panes; they come in another order.
    together = fed(state, sums, LEARN)
    assert len(readings) == len(together) == 30
    for one, other in zip(readings, together, strict=True):
        assert (one.at, one.stands[0].counts) == (other.at, other.stands[0].counts)
        assert one.stands[0].measures == pytest.approx(other.stands[0].measures, rel=1e-3)


def test_the_rule_of_its_page_is_made_of_defaults(tmp_path):
    page = (Path(__file__).parents[4] / "docs" / "drift.md").read_text(encoding="utf-8")
    block = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "rules.yaml").write_text(block, encoding="utf-8")
    (rule,) = load_engine(tmp_path, MINUTE).rules.rules
    assert rule.condition == Drift(by=("app",), model="text-embedding-3-small")


def test_whitening_is_that_of_the_covariance_with_its_lesser_axes_alike():
    rng = np.random.default_rng(26)
    mix = rng.normal(size=(WIDE, WIDE)) * np.exp(-np.arange(WIDE) / 12)[:, None]
    rows = rng.normal(size=(1_500, WIDE)) @ mix * 0.1
    state: dict = {}
    for row in rows:
        gather(state, row)
    covariance = rows.T @ rows / len(rows)
    values, axes = np.linalg.eigh(covariance)
    values[:-KEPT] = values[:-KEPT].mean()
    whole = axes / np.sqrt(values + RIDGE * values.mean()) @ axes.T
    white = whitening(np.zeros(WIDE), found(state)).white(rows)
    ours, theirs = (white.astype(float) ** 2).sum(axis=1), ((rows @ whole) ** 2).sum(axis=1)
    assert np.abs(ours / theirs - 1).max() < 0.05


WIDE = 64


def test_two_hours_of_calls_are_enough_to_know_their_scatter():
    """By the means of 120 minutes alone, usual ones lie up to 4.5 times as far along some axes."""
    rng, widths = np.random.default_rng(29), np.geomspace(1, 0.3, WIDE)
    head: dict = {}
    for _ in range(120):
        unusual.add_calls(head, 0.5 + rng.normal(size=(20, WIDE)) * widths, WIDE)
    white = whitening(np.frombuffer(head["mean"]), found(head, WIDE))
    later = white.white(0.5 + rng.normal(size=(20_000, WIDE)) * widths)
    variances = np.linalg.eigvalsh(np.cov(later.T))
    assert 0.4 < variances.min() < variances.max() < 2.5


def test_t2_of_a_memory_is_hotellings():
    rng = np.random.default_rng(27)
    calls, whites = rng.integers(10, 90, 100), rng.normal(size=(100, 8)).astype(np.float32)
    memory: dict = {}
    for count, white in zip(calls.tolist(), whites, strict=True):
        hotelling.remember(memory, count, white, np.inf)
    for place, span in enumerate(hotelling.SPANS):
        weights = (1 - 2 / (span + 1)) ** np.arange(99, -1, -1.0) * calls
        mean = weights @ whites / weights.sum()
        variance = (weights**2 / calls).sum() / weights.sum() ** 2 + 1 / 5_000
        assert hotelling.roots(memory, 5_000)[place] ** 3 == pytest.approx(mean @ mean / variance, rel=1e-5)
        assert hotelling.mean(memory, place) == pytest.approx(mean, abs=1e-5)


def test_gumbel_is_scipys():
    maxima = stats.gumbel_r.rvs(4, 1.5, size=200, random_state=28)
    location, scale = stats.gumbel_r.fit(maxima)
    assert gumbel.fitted(maxima) == pytest.approx((location, scale), rel=1e-4)
    level = stats.gumbel_r.isf(1 / 1_440, location, scale)
    assert gumbel.level(location, scale, 1_440) == pytest.approx(level, rel=1e-9)
    fits = [gumbel.fitted(stats.gumbel_r.rvs(size=24, random_state=seed)) for seed in range(300)]
    spread = np.std([gumbel.level(*fit, 1_440) for fit in fits])
    assert gumbel.doubt(1, 24, 1_440) == pytest.approx(spread, rel=0.15)
    with pytest.raises(ValueError, match="at least 2"):
        gumbel.fitted(maxima[:1])


def test_each_hour_of_the_week_has_a_usual_of_its_own():
    """Weekends are about other things: on a Sunday that is usual, and on a Wednesday it is not."""
    rng, (_, topic) = np.random.default_rng(30), images()
    workdays, weekends = (
        [about(rng.choice(np.flatnonzero(wanted), CALLS), f"w{n}") for n in range(300)]
        for wanted in (topic < 16, (topic >= 4) & (topic < NEW))
    )
    week = DAY // MINUTE * 7
    rule, state = Drift(learn="2w", series=1), {}

    def said(start: int, count: int, *, weekend: bool | None = None) -> list[str]:
        free = [
            (at // (DAY // MINUTE) % 7 in {2, 3}) if weekend is None else weekend
            for at in range(start, start + count)
        ]
        chosen = [
            (weekends if off else workdays)[at]
            for off, at in zip(free, rng.integers(300, size=count), strict=True)
        ]
        return [reading.verdict for reading in fed(state, chosen, start, rule)]

    said(0, 2 * week)
    assert unpacked(reference_of(state)).topics.whitening.season
    assert "breach" not in said(2 * week, week)
    wednesday = 3 * week + 6 * DAY // MINUTE
    assert "breach" not in said(wednesday, 60)
    assert "breach" in said(wednesday + 60, 30, weekend=True)

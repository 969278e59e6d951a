"""Change without a rule: found with ADWIN and PageHinkley, told in one digest, the same after any restart."""

from __future__ import annotations

import math
import re
import statistics

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN, PageHinkley

from llmvitals.rules.kinds.change import groups
from llmvitals.rules.kinds.change.change_points import (
    ALLOWANCE,
    BEFORE,
    CLIPPED,
    LEAST,
    SIDE,
    STEEP,
    USUAL,
    Search,
    deviation,
)
from llmvitals.rules.kinds.change.detector import KEPT, note
from llmvitals.rules.kinds.change.minutes import CHANGING, Minutes, margin, scaled, units, value
from llmvitals.rules.kinds.change.spec import Change
from llmvitals.window import MINUTE
from panes import PANE, rule_engine, vitals, walk

FIRST = 1_700_006_400_000_000 // PANE
"""A full hour."""
PER = 6


def rule(folder, condition: str = ""):
    return rule_engine(folder, f"alert: Changed\nchange: {{by: [app]{condition}}}")


def traffic(minutes, *, seed: int = 1, of=lambda minute: {}, calls: int = 10):
    """Panes with about so many calls each; of: what is other in a minute: slow (a factor), fail (a share)."""
    rng = np.random.default_rng(seed)
    found = {}
    for minute in minutes:
        usual = {"slow": 1.0, "fail": 0.02, "good": 0.8, "calls": calls} | of(minute)
        for pane in range(PER):
            many = int(rng.poisson(usual["calls"]))
            if many:
                found[FIRST + minute * PER + pane] = vitals(
                    ms=tuple(rng.lognormal(6.5, 0.3, many) * usual["slow"]),
                    calls=many,
                    errors=int(rng.binomial(many, usual["fail"])),
                    scores={
                        "helpful": (many, int(rng.normal(usual["good"], 0.1 / math.sqrt(many)) * 1e6 * many))
                    },
                )
    return found


def heard(folder, panes, minutes: int, condition: str = "", **how):
    found = walk(rule(folder, condition), panes, FIRST + minutes * PER, series=("search",), **how)
    return [(alert.status, (alert.at // PANE - FIRST) / PER, alert.summary) for alert in found]


def slow_from(minute, factor: float = 1.6):
    return lambda now: {"slow": factor} if now >= minute else {}


def test_a_step_is_told_once_with_both_sides_and_since_when_and_ends_after_an_hour(tmp_path):
    (fires, at, said), *_, (over, end, _) = heard(tmp_path, traffic(range(240), of=slow_from(120)), 240)
    assert fires == "firing"
    assert 125 <= at <= 140
    assert re.search(r"latency p50 6\d\d ms → 1\.\d+ s since 0(1:59|2:00|2:01) UTC", said)
    assert said.endswith("(app=search)")
    assert over == "resolved"
    assert 180 <= end <= 215


def test_what_changes_later_in_the_hour_is_told_too_and_of_many_five_are_named(tmp_path):
    def of(minute):
        return {"slow": 1.6 if minute >= 120 else 1, "good": 0.5 if minute >= 140 else 0.8}

    found = heard(tmp_path, traffic(range(200), of=of), 200)
    said = [text for status, _, text in found if status == "firing"]
    assert len(said) >= 2
    assert "score helpful" not in said[0]
    assert "latency p50" in said[-1]
    assert re.search(r"score helpful (0\.8|0\.799|0\.801) → (0\.5|0\.49\d|0\.50\d) since 02:20 UTC", said[-1])
    names = ["error_share", *CHANGING[20:26], "score.helpful_mean"]
    told = {name: [number * MINUTE, 0, 0.5, 1.0] for number, name in enumerate(names)}
    assert note(told).startswith("error share 50 % → 100 % since 00:00 UTC; ")
    assert note(told).endswith("; and 3 more")
    assert note(told).count(" → ") == 5


def test_only_the_metrics_that_are_named_are_looked_at(tmp_path):
    panes = traffic(range(200), of=slow_from(120))
    assert heard(tmp_path, panes, 200, ", metrics: [error_share, score.helpful_mean]") == []
    (_, _, said), *_ = heard(tmp_path, panes, 200, ", metrics: latency_p95")
    assert said.startswith("Changed: latency p95 ")


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(lambda minute: {"slow": 20.0} if minute == 120 else {}, id="one minute"),
        pytest.param(lambda minute: {"slow": 1.04} if minute >= 120 else {}, id="less than a tenth"),
        pytest.param(lambda minute: {"calls": 100} if minute >= 120 else {}, id="more calls"),
        pytest.param(lambda minute: {"slow": 2.0} if minute >= 20 else {}, id="before half an hour"),
        pytest.param(lambda minute: {"calls": 1, "slow": 1 + minute % 7}, id="few calls"),
        pytest.param(
            lambda minute: {"fail": 0.6} if minute < 20 else {}, id="the end of what was no half hour"
        ),
    ],
)
def test_what_is_no_change(tmp_path, of):
    panes = traffic(range(80 if of(25).get("slow") == 2.0 else 200), of=of)
    if of(25).get("slow") == 2.0:
        panes = {pane: content for pane, content in panes.items() if pane < FIRST + 28 * PER}
    assert heard(tmp_path, panes, 200) == []


def test_minutes_with_few_calls_are_looked_at_together(tmp_path):
    """Four calls a minute, six thousand a day; and night's one call in ten minutes is none."""
    panes = traffic(range(600), calls=4 / PER, of=slow_from(400, 2.5))
    whole = heard(tmp_path, panes, 600)
    assert heard(tmp_path, panes, 600, packed=True, ticks=True) == whole
    (fires, at, said), *_ = whole
    assert fires == "firing"
    assert 405 <= at <= 440
    assert "latency p50 " in said
    assert heard(tmp_path, traffic(range(600), calls=4 / PER), 600) == []
    assert heard(tmp_path, traffic(range(2_000), calls=0.1 / PER, of=slow_from(1_400, 9)), 2_000) == []


def failing(minute, share: float, until: float = math.inf):
    return lambda now: {"fail": share if minute <= now < until else 0.0005}


def test_calls_of_one_session_that_fail_are_no_change_and_lasting_failures_are(tmp_path):
    """Four calls a minute; for a session of 25 minutes three of ten fail."""
    one = traffic(range(640), calls=4 / PER, of=failing(500, 0.3, 525))
    assert heard(tmp_path, one, 800) == []
    (fires, at, said), *_ = heard(tmp_path, traffic(range(640), calls=4 / PER, of=failing(500, 0.3)), 640)
    assert fires == "firing"
    assert 510 <= at <= 560
    assert "error share" in said


@pytest.mark.parametrize(
    ("what", "usual", "value"), [("fail", 0.02, 0.6), ("slow", 1.0, 3.0), ("good", 0.8, 0.3)]
)
def test_the_end_of_a_change_is_no_second_one_but_the_next_change_is(tmp_path, what, usual, value):
    """An outage of 80 minutes, which the alert outlives; it was reported again when all was as before."""

    def of(now):
        return {what: value if 120 <= now < 200 or now >= 380 else usual}

    found = heard(tmp_path, traffic(range(440), of=of), 440, ", hold: 30m")
    begun = [(at, text) for place, (status, at, text) in enumerate(found)
             if status == "firing" and (not place or found[place - 1][0] == "resolved")]  # fmt: skip
    (first, _), (second, again) = begun
    assert 125 <= first <= 150
    assert 385 <= second <= 410
    assert "since 06:" in again


def test_a_change_that_ends_while_it_is_shown_is_said_to_end(tmp_path):
    def of(now):
        return {"fail": 0.6 if 120 <= now < 160 else 0.02}

    found = heard(tmp_path, traffic(range(300), of=of), 300)
    assert [status for status, _, _ in found].count("resolved") == 1
    assert re.search(r"error share [56]\d(\.\d+)? % → [12]\.\d+ % since 02:(39|40|41) UTC", found[-1][2])


def test_how_many_calls_come_together_is_learned_from_their_dispersion():
    dice = np.random.default_rng(2)
    alone = dice.poisson(0.3, 3_000).astype(float)
    together = np.zeros(3_000)
    together[dice.integers(0, 3_000, 90)] = 10.0
    known = groups.learned(groups.NEW, alone)
    assert groups.least(known) < 1.3 * groups.GROUPS < groups.least(groups.NEW)
    assert groups.least(groups.learned(groups.NEW, together)) == pytest.approx(10 * groups.GROUPS, rel=0.25)
    # However the rows come.
    parts = [*groups.NEW]
    for part in np.array_split(alone, 700):
        parts = groups.learned(parts, part)
    assert parts == pytest.approx(known)


def test_a_change_of_a_share_consists_of_the_calls_of_its_shorter_side():
    calls, shares = np.full(30, 20.0), np.array([0.1] * 20 + [0.3] * 10)
    assert groups.moved(shares, calls, 20) == pytest.approx(0.2 * 200)
    assert groups.moved(1 - shares, calls, 20) == pytest.approx(0.2 * 200)
    assert groups.moved(shares[::-1], calls, 10) == pytest.approx(0.2 * 200)


def test_calls_without_any_of_the_metrics_say_nothing(tmp_path):
    panes = traffic(range(60), of=slow_from(40))
    assert heard(tmp_path, panes, 60, ", metrics: score.other_mean") == []
    # Nor do they take from what comes later.
    later = panes | traffic(range(60, 200), of=slow_from(140))
    (_, _, said), *_ = heard(tmp_path, later, 200, ", metrics: [score.helpful_mean, latency_p50]")
    assert said.startswith("Changed: latency p50 ")


def test_minutes_without_calls_are_no_minutes(tmp_path):
    night = [*range(100), *range(700, 800)]
    assert heard(tmp_path, traffic(night), 3_000) == []
    # The day after is another one: what was before the night still counts.
    found = heard(tmp_path, traffic(night, of=slow_from(700)), 3_000)
    assert [status for status, _, _ in found][:1] == ["firing"]
    assert 705 <= found[0][1] <= 720


def test_after_a_day_without_calls_nothing_is_remembered(tmp_path):
    watched = rule(tmp_path)
    state: dict = {}
    closed = sorted(traffic(range(60)).items())
    watched.advance(watched.views[0].name, ("search",), state, floor=FIRST + 60 * PER, closed=closed)
    assert state
    due = watched.due(state)
    while state:
        assert due < FIRST + 3 * 1_440 * PER
        watched.advance(watched.views[0].name, ("search",), state, floor=due)
        due = watched.due(state)


WORLD = traffic(
    [*range(90), *range(97, 170)],
    of=lambda minute: {"slow": 1.8 if minute >= 60 else 1, "fail": 0.3 if minute >= 120 else 0.02},
)


@settings(max_examples=25)
@given(cuts=st.sets(st.integers(0, 260 * PER), max_size=40), packed=st.booleans())
def test_any_batching_and_any_restart_gives_the_same_alerts(tmp_path_factory, cuts, packed):
    watched = rule(tmp_path_factory.mktemp("rules"))

    def said(**how):
        return walk(watched, WORLD, FIRST + 260 * PER, series=("search",), **how)

    whole = said()
    assert [alert.status for alert in whole][:1] == ["firing"]
    assert said(cuts=[FIRST + cut for cut in cuts], packed=packed) == whole


def test_a_restart_after_every_pane_changes_nothing(tmp_path):
    watched = rule(tmp_path)
    end = FIRST + 150 * PER
    some = {pane: content for pane, content in WORLD.items() if pane < end}
    whole = walk(watched, some, end, series=("search",))
    assert walk(watched, some, end, series=("search",), packed=True, ticks=True) == whole


def by_hand(values: list[float], search: Search, usual: float, least: float) -> int:
    """`Search.places` of one column, number by number, with river's detectors fed here."""
    wide = float(deviation(np.array(values)[:, None])[0])
    middle, count = statistics.median(values), len(values)
    numbers = [min(max((one - middle) / wide, -CLIPPED), CLIPPED) for one in values]
    place, widest = 0, -1.0
    for first in range(BEFORE, count - SIDE + 1):
        gap = abs(statistics.fmean(numbers[:first]) - statistics.fmean(numbers[first:]))
        apart = gap * math.sqrt(first * (count - first) / count)
        if apart > widest:
            place, widest = first, apart
    weight = math.sqrt(place * (count - place) / count)
    whole = abs(statistics.fmean(values[:place]) - statistics.fmean(values[place:]))
    if (
        min(widest, (whole - least) / wide * weight)
        <= math.sqrt(2 * math.log(2 * search.run)) * max(1, usual / USUAL) ** STEEP
    ):
        return 0
    detectors = (
        ADWIN(delta=1 / (2 * search.run), clock=1),
        PageHinkley(
            min_instances=SIDE,
            delta=ALLOWANCE,
            threshold=math.log(2 * search.run) / (2 * ALLOWANCE),
            alpha=1.0,
        ),
    )
    for number, one in enumerate(numbers):
        for detector in detectors:
            detector.update(one)
        if number >= place and any(detector.drift_detected for detector in detectors):
            return place
    return 0


def test_places_are_those_of_river_and_of_all_splits_one_by_one():
    rng, search = np.random.default_rng(3), Search(1e6)
    values = rng.standard_normal((60, 40))
    values[40:, ::2] += np.linspace(0, 6, 20)
    usual, least = rng.uniform(1, 2.3, 40), rng.uniform(0, 0.5, 40)
    found, _ = search.places(values, usual, lambda _: least)
    expected = [
        by_hand(values[:, column].tolist(), search, usual[column], least[column]) for column in range(40)
    ]
    assert found.tolist() == expected
    assert 5 < np.count_nonzero(found[::2]) < 20
    assert not found[1::2].any()


@pytest.mark.parametrize(
    ("kind", "calls_per_minute", "lean"),
    [
        pytest.param("latency", 200, 0.0, id="independent"),
        pytest.param("latency", 200, 0.5, id="leaning"),
        pytest.param("latency", 200, 0.9, id="leaning much"),
        pytest.param("errors", 200, 0.0, id="rare errors"),
        pytest.param("errors", 20, 0.0, id="rare errors of few calls"),
    ],
)
def test_noise_of_30_days_and_10_metrics_with_a_daily_rhythm_alarms_at_most_once(
    kind, calls_per_minute, lean
):
    rng, search, many = np.random.default_rng(5), Search(43_200 * 10), 43_200
    minutes = np.arange(many)[:, None]
    calls = np.maximum(
        rng.poisson(calls_per_minute * (1 + 0.9 * np.sin(2 * np.pi * minutes / 1_440)), (many, 10)), 10
    )
    noise = rng.standard_normal((many, 10))
    for minute in range(1, many) if lean else ():
        noise[minute] = lean * noise[minute - 1] + math.sqrt(1 - lean**2) * noise[minute]
    rhythm = 0.25 * np.sin(2 * np.pi * (minutes / 1_440 + rng.random(10)))
    values, least = rhythm + noise * (0.3 if lean else 0.7 / np.sqrt(calls)), np.full(10, math.log(1.1))
    if kind == "errors":
        values = np.arcsin(np.sqrt(rng.binomial(calls, 0.01) / calls))
        least = margin(units(("error_share",) * 10), np.full(10, math.asin(math.sqrt(0.01))))
    alarms, usual, begins = 0, np.full(10, 1.85), np.zeros(10, np.int64)
    for end in range(5, many, 5):
        begins = np.maximum(begins, end - KEPT)
        for begin in np.unique(begins).tolist():
            columns = np.flatnonzero(begins == begin)
            here, bar = values[begin:end, columns], least[columns]
            places, apart = search.places(here, usual[columns], lambda _, bar=bar: bar)
            more = np.minimum(apart, search.limit) - usual[columns]
            usual[columns] += more / min(end / 5 + 36, 2_016) * (apart > 0)
            alarms += int(np.count_nonzero(places))
            # What was before a change is forgotten.
            begins[columns] += places
    assert alarms <= 1


def test_the_rate_that_is_asked_for_is_over_series_and_metrics():
    limits = [
        Change(**keys).detector(PANE, ()).search.limit
        for keys in ({"false_alarms": 10}, {}, {"series": 10_000}, {"metrics": ["error_share"]})
    ]
    assert limits[0] < limits[1] < limits[2]
    assert limits[3] < limits[1]


def test_what_is_kept_does_not_grow(tmp_path):
    detector = Change().detector(PANE, ())
    sizes, state = [], {}
    for pane, content in sorted(traffic(range(400)).items()):
        detector.take(state, pane, content)
        if pane % (100 * PER) == 100 * PER - 1:
            sizes.append(len(msgspec.msgpack.encode(state)))
    assert max(sizes) < 20_000
    assert sizes[-1] < 1.1 * sizes[1]
    assert len(state["minutes"]) == KEPT > LEAST


@pytest.mark.parametrize("name", CHANGING)
def test_numbers_are_compared_and_said_in_the_metrics_own_unit(name):
    kinds, numbers = units((name,) * 3), np.array([0.001, 0.5, 0.97])
    assert value(kinds, scaled(kinds, numbers)) == pytest.approx(numbers)
    assert (margin(kinds, scaled(kinds, numbers)) > 0).all()


def test_minutes_are_those_that_the_statistics_of_rules_would_read():
    panes = [vitals(ms=(100.0, 200.0, 900.0), calls=3, errors=number % 2) for number in range(6)]
    reader = Minutes((), 10, PANE)
    (minute,), names, table = reader.read(
        [[reader.packed(FIRST + place, one) for place, one in enumerate(panes)]]
    )
    (row,) = value(units((*names,)), table)
    said = dict(zip(names, row.tolist(), strict=True))
    assert minute == FIRST * PANE // MINUTE
    assert said["error_share"] == pytest.approx(3 / 18)
    assert said["latency_p50"] == pytest.approx(200, rel=0.01)
    assert said["latency_p95"] == pytest.approx(900, rel=0.01)
    assert math.isnan(said["cost_per_call_mean"])

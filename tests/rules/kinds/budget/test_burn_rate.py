"""Burn rates: money that goes too fast, in two windows at once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.rules.kinds.budget.burn_windows import DEFAULT, LENGTHS, scaled
from panes import MINUTE, PANE, alerts, points, rule_engine, rule_outputs, vitals, walk
from spend import DAY, HOUR, moment

START = moment("2025-06-02T00:00", "Europe/Berlin")
# $720 in 30 days is a dollar an hour.
MONTH = "alert: A\nbudget: {{limit: 720, per: month, timezone: Europe/Berlin, thresholds: [100%], {burn}}}"
ONE = "burn_rate: [{factor: 10, windows: [1h, 5m]}], floor: 0.01"


def spending(rate: float, begin: int, end: int, every: int = MINUTE) -> dict:
    """Dollars an hour, from pane to pane."""
    return {pane: vitals(cost=rate * every / HOUR) for pane in range(begin, end, every)}


def burns(found):
    """(status, level, minutes since the start) of each that is about a rate."""
    return [
        (alert.status, alert.level, (alert.at // PANE - START) / MINUTE)
        for alert in found
        if alert.facet == "burn"
    ]


def test_the_default_pairs_are_those_of_the_sre_workbook():
    """Table 5-8 of chapter 5: 2 % in 1 h, 5 % in 6 h, 10 % in 3 d, of 30 days."""
    assert [(factor / 100, long / 3.6e9, short / 6e7) for factor, long, short in DEFAULT] == [
        (14.4, 1, 5), (6, 6, 30), (1, 72, 360),
    ]  # fmt: skip


@pytest.mark.parametrize("per", LENGTHS)
def test_of_any_period_the_same_shares_are_gone(per):
    length = LENGTHS[per]
    shares = [factor / 100 * long / length for factor, long, _ in scaled(length)]
    assert shares == pytest.approx([0.02, 0.05, 0.10])


def test_it_speaks_when_both_windows_exceed_and_says_when_the_money_is_gone(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(burn="burn_rate: default"))
    found = walk(rule, spending(20, START, START + 2 * HOUR), START + 20 * DAY)
    # 2 % of $720 are $14.40: the 44th minute's call (33 cents each) makes it $14.67.
    fired, *_ = found
    assert burns(found)[0] == ("firing", "14.4x", 43 + 1 / MINUTE)
    assert fired.value == pytest.approx(44 / 3)
    assert fired.summary == "$720 per month is spent at 14.4x the even rate: all calls"
    # $705.33 are left, at $14.67 an hour: 48 h 5 min 27 s from 00:43:10 on.
    assert fired.note == (
        "$14.67 within 1 h: at this rate the budget is exhausted in 2 d, on Wed 4 Jun 2025 at 00:48 CEST"
    )
    assert fired.ends == moment("2025-07-01T00:00", "Europe/Berlin") * PANE


def test_a_spike_that_is_over_does_not_speak(tmp_path):
    """The long window exceeds, the short one no longer: one call of $9 in which nobody can do anything."""
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    panes = {START: vitals(cost=9.9), START + 30 * MINUTE: vitals(cost=0.2)}
    assert burns(walk(rule, panes, START + DAY)) == []


def test_a_short_spike_does_not_speak_either(tmp_path):
    """The short window exceeds by far, the long one doesn't."""
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    assert burns(walk(rule, {START: vitals(cost=9.9)}, START + DAY)) == []


def test_a_quiet_hour_can_not_page(tmp_path):
    """A tiny budget: ten times nothing is nothing, unless the floor says so."""
    tiny = "alert: A\nbudget: {{limit: 0.72, per: month, thresholds: [100%], burn_rate: default{}}}"
    panes = {START + pane: vitals(cost=0.01) for pane in (0, MINUTE, 2 * MINUTE)}
    assert burns(walk(rule_engine(tmp_path, tiny.format("")), panes, START + DAY)) != []
    assert burns(walk(rule_engine(tmp_path, tiny.format(", floor: 0.05")), panes, START + DAY)) == []


def test_the_default_floor_is_a_hundredth_of_the_limit(tmp_path):
    pair = "burn_rate: [{factor: 2, windows: [10m, 1m]}]"
    rule = rule_engine(tmp_path, MONTH.format(burn=pair))
    panes = {START: vitals(cost=3), START + 2: vitals(cost=3), START + 4: vitals(cost=1.19)}
    assert burns(walk(rule, panes, START + HOUR)) == []
    panes[START + 4] = vitals(cost=1.2)
    assert burns(walk(rule, panes, START + HOUR))[0][:2] == ("firing", "2x")


def test_a_first_call_is_no_rate(tmp_path):
    """Of nothing before it can nobody say that it will go on; the third in the window says so."""
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    panes = {START: vitals(cost=12), START + 4 * MINUTE: vitals(cost=6)}
    assert burns(walk(rule, panes, START + DAY)) == []
    panes[START + 5 * MINUTE] = vitals(cost=6)
    assert burns(walk(rule, panes, START + DAY)) != []


def test_it_gets_worse_in_one_episode_and_ends_when_it_is_clearly_over(tmp_path):
    pairs = "burn_rate: [{factor: 10, windows: [1h, 5m]}, {factor: 20, windows: [30m, 5m]}], floor: 0.01"
    rule = rule_engine(tmp_path, MONTH.format(burn=pairs))
    panes = spending(11, START, START + HOUR) | spending(40, START + HOUR, START + 2 * HOUR)
    found = [alert for alert in walk(rule, panes, START + DAY) if alert.facet == "burn"]
    assert [alert.status for alert in found] == ["firing", "firing", "resolved"]
    assert [alert.level for alert in found] == ["10x", "20x", "20x"]
    assert len({alert.episode for alert in found}) == 1
    # $40/h fall below $9.50/h within 5 min when only one of its minutes has calls; then it is quiet for 2 h
    # at the end of a minute.
    assert found[-1].at // PANE - START == 4 * HOUR + 4 * MINUTE
    assert found[-1].note == "0.0 times the even rate over the last 5 min"


def test_what_is_gone_does_not_begin_to_burn(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    panes = {START: vitals(cost=720)} | spending(30, START + 2 * HOUR, START + 4 * HOUR)
    assert burns(walk(rule, panes, START + DAY)) == []


def test_if_the_budget_outlasts_the_period_nobody_is_told(tmp_path):
    """Twelve dollars an hour are twelvefold, but by midnight $144 of $720 will be spent."""
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    begin = moment("2025-06-30T12:00", "Europe/Berlin")
    assert burns(walk(rule, spending(12, begin, begin + 12 * HOUR), begin + 12 * HOUR)) == []


def test_over_midnight_of_the_first_a_rate_goes_on(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(burn=ONE))
    end = moment("2025-07-01T00:00", "Europe/Berlin")
    found = walk(rule, spending(12, end - 30 * MINUTE, end + 40 * MINUTE), end + DAY)
    (fired, over) = [alert for alert in found if alert.facet == "burn"]
    assert (fired.at // PANE - end, fired.value) == (19 * MINUTE + 1, pytest.approx(4))
    assert over.status == "resolved"


def test_a_rolling_budget_burns_too(tmp_path):
    rule = rule_engine(
        tmp_path, "alert: A\nbudget: {limit: 720, rolling: 30d, thresholds: [100%], burn_rate: default}"
    )
    fired = next(iter(walk(rule, spending(20, START, START + 2 * HOUR), START + 2 * HOUR)))
    assert (fired.facet, fired.level, fired.ends) == ("burn", "14.4x", None)
    assert "exhausted in 2 d" in fired.note


def test_a_point_says_how_fast_the_last_hour_was(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(burn="burn_rate: default"))
    found = points(rule_outputs(rule, spending(3, START, START + 3 * HOUR), START + 3 * HOUR))
    assert found[-1].measures["burn_1h"] == pytest.approx(3)
    assert found[29].measures["burn_1h"] == pytest.approx(1.5)


def test_a_rules_own_summary_is_about_the_ladder_unless_it_has_a_note(tmp_path):
    text = MONTH.format(burn="burn_rate: default") + '\nannotations: {summary: "SUMMARY"}'
    panes = spending(20, START, START + HOUR)
    (fired, *_) = walk(
        rule_engine(tmp_path, text.replace("SUMMARY", "{percent} of {limit}")), panes, START + HOUR
    )
    assert fired.summary == "$720 per month is spent at 14.4x the even rate: all calls"
    (fired, *_) = walk(
        rule_engine(tmp_path, text.replace("SUMMARY", "{percent} of {limit}; {note}")), panes, START + HOUR
    )
    assert fired.summary.startswith("2 % of $720; $14.67 within 1 h")


def test_a_call_an_hour_is_one_episode(tmp_path):
    """A dollar at any minute of each hour, of $20 a day: the short windows rise and fall with each call."""
    text = "alert: A\nbudget: {limit: 20, per: day, timezone: Europe/Berlin, thresholds: [100%], burn_rate: default}"
    minutes = random.Random(7)
    panes = {START + hour * HOUR + minutes.randrange(60) * MINUTE: vitals(cost=1) for hour in range(24)}
    found = [alert for alert in walk(rule_engine(tmp_path, text), panes, START + 3 * DAY) if alert.facet]
    assert [alert.status for alert in found] in ([], ["firing", "resolved"])


def test_a_loop_among_rare_calls_is_one_episode(tmp_path):
    """Two weeks of a dollar a day, then ten dollars once an hour: of $720, six times more than is even."""
    rule = rule_engine(tmp_path, MONTH.format(burn="burn_rate: default"))
    panes = {START + day * DAY: vitals(cost=1) for day in range(14)}
    loop = START + 14 * DAY
    panes |= {loop + hour * HOUR + hour % 7 * MINUTE: vitals(cost=10) for hour in range(48)}
    fired, *worse, over = [alert for alert in walk(rule, panes, START + 28 * DAY) if alert.facet]
    assert {alert.episode for alert in (fired, *worse, over)} == {fired.episode}
    assert (fired.status, over.status) == ("firing", "resolved")
    assert fired.at // PANE - loop < 6 * HOUR
    assert over.at // PANE - loop > 48 * HOUR


def test_the_morning_is_no_burn(tmp_path):
    """$30 from nine to five, of $40 a day: threefold in office hours, each day."""
    text = "alert: A\nbudget: {limit: 40, per: day, timezone: Europe/Berlin, thresholds: [100%], burn_rate: default}"
    panes = {}
    for day in range(10):
        panes |= spending(30 / 8, START + day * DAY + 9 * HOUR, START + day * DAY + 17 * HOUR)
    assert burns(walk(rule_engine(tmp_path, text), panes, START + 10 * DAY)) == []
    panes |= spending(20, START + 10 * DAY + 9 * HOUR, START + 10 * DAY + 17 * HOUR)
    (fired, *_) = burns(walk(rule_engine(tmp_path, text), panes, START + 11 * DAY))
    assert fired[2] - 10 * 24 * 60 - 9 * 60 < 15, "but a fivefold morning is"


@pytest.mark.parametrize("rate", [1.1, 4, 20])
def test_what_is_paged_is_projected_above_the_limit(tmp_path, rate):
    rule = rule_engine(tmp_path, MONTH.format(burn="burn_rate: default"))
    step, burn, end = 10 * MINUTE, START + 10 * DAY, START + (14 if rate > 2 else 28) * DAY
    panes = spending(0.5, START, burn, step) | spending(rate, burn, end, step)
    fired = [each for each in walk(rule, panes, end) if each.facet and each.status == "firing"]
    assert fired or rate < 1.2
    for alert in fired:
        assert alert.outlook
        assert (alert.outlook.expected or 0) > alert.limit


SPENT = st.dictionaries(st.integers(0, 3 * HOUR), st.integers(1, 4_000_000_000), min_size=1, max_size=40)


@settings(max_examples=60)
@given(SPENT, st.sets(st.integers(0, 4 * HOUR), max_size=5))
def test_it_fires_when_naive_sums_of_both_windows_say_so(tmp_path_factory, costs, cuts):
    rule = rule_engine(tmp_path_factory.mktemp("rules"), MONTH.format(burn=ONE))
    panes = {START + at: vitals(cost_nano=nano) for at, nano in costs.items()}
    expected, firing, quiet = [], False, 0
    for now in range(START, START + 5 * HOUR):
        # Buckets of a minute, 60 and 5 of them, the one under way included; ten dollars an hour are tenfold.
        minute = now // MINUTE
        long, short = (
            sum(nano for at, nano in costs.items() if now >= START + at >= (minute - back + 1) * MINUTE) / 1e9
            for back in (60, 5)
        )
        change = now - START in costs or now % MINUTE == 0
        if not firing and change and long >= 10 and short >= 10 / 12:
            expected.append(("firing", "10x", (now + 1 - START) / MINUTE))
            firing = True
        elif firing and change and (long < 9.5 or short < 9.5 / 12):
            # One window is below 95 %: it is over when that has lasted for two hours.
            quiet = quiet or now
        elif firing and change:
            quiet = 0
        if quiet and now - quiet >= 2 * HOUR and (change or (now + 1) % MINUTE == 0):
            expected.append(("resolved", "10x", (now + 1 - START) / MINUTE))
            firing, quiet = False, 0
    heard = rule_outputs(rule, panes, START + DAY, cuts=[START + cut for cut in cuts], packed=True)
    assert burns(alerts(heard)) == expected


@settings(max_examples=40)
@given(
    st.dictionaries(st.integers(0, 200), st.integers(1, 3_000_000_000), min_size=5, max_size=60),
    st.integers(0, 5),
)
def test_panes_that_are_joined_fire_when_they_do_one_by_one(tmp_path_factory, costs, offset):
    """A backtest joins `grain` panes, and looks closer only where something fires."""
    text = "alert: A\nbudget: {limit: 100, per: day, thresholds: [100%], burn_rate: [{factor: 2, windows: [1h, 10m]}]}"
    rule = rule_engine(tmp_path_factory.mktemp("rules"), text)
    grain = rule.rules.rules[0].condition.grain(PANE)
    assert grain > 1
    fine = {START + at * 90 + offset: vitals(cost_nano=nano) for at, nano in costs.items()}
    joined: dict[int, int] = {}
    for pane, each in fine.items():
        last = pane // grain * grain + grain - 1
        joined[last] = joined.get(last, 0) + each.total("cost_nano")
    coarse = {pane: vitals(cost_nano=nano) for pane, nano in joined.items()}
    found = [
        [(alert.status, alert.at // PANE // grain) for alert in walk(rule, panes, START + 7 * DAY)][:1]
        for panes in (fine, coarse)
    ]
    assert bool(found[0]) == bool(found[1])

"""Samples of many minutes as columns are those of each minute, added up one after the other."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from any_vitals import vitals
from llmvitals.metrics.registry import COMPARABLE
from llmvitals.rules.kinds.regression.gauges import gauge_of
from llmvitals.rules.kinds.regression.samples import plus


@given(
    st.sampled_from([*COMPARABLE, "score.helpful_mean", "score.*_mean"]),
    st.lists(vitals, min_size=1, max_size=4),
    st.data(),
)
def test_columns_add_up_as_minutes_do(metric, many, data):
    gauge = gauge_of(metric)
    minutes = [gauge.minute(gauge.sample(each)) for each in many]
    kept, columns = gauge.minutes(many).with_calls()
    assert kept == [place for place, (sums, _) in enumerate(minutes) if sums[0]]
    first = data.draw(st.integers(0, len(kept)))
    end = data.draw(st.integers(first, len(kept)))
    some = [minutes[place] for place in kept[first:end]]
    before = data.draw(st.none() | st.sampled_from(minutes))
    whole = columns.added(before, first, end)
    if before or some:
        assert whole == reduce(plus, some, before)
    assert columns.calls[end] - columns.calls[first] == sum(sums[0] for sums, _ in some)

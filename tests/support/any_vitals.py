"""Hypothesis strategies for vitals and their parts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from llmvitals.record.vitals import Vitals
from llmvitals.sketch import cells, counters, quantiles, scores, top_k

counts = st.integers(0, 2**40)
names = st.sampled_from(["a", "b", "c", "ä", ""])

bins = st.dictionaries(
    st.integers(0, len(quantiles.SKETCHES) * quantiles.STRIDE - 1), st.integers(1, 2**40), max_size=8
).map(
    lambda found: (np.array(sorted(found), np.uint16), np.array([found[k] for k in sorted(found)], np.int64))
)
sums = st.lists(counts, min_size=len(counters.SUMS), max_size=len(counters.SUMS)).map(tuple)
maxima = st.lists(counts, min_size=len(counters.MAXIMA), max_size=len(counters.MAXIMA)).map(tuple)
contributors = st.dictionaries(
    st.sampled_from(top_k.KINDS),
    st.dictionaries(names, st.tuples(*[counts] * len(top_k.NO_SHARE)), min_size=1),
    max_size=3,
)
exemplars = st.dictionaries(
    st.sampled_from(top_k.WORST), st.lists(st.tuples(counts, names), min_size=1, max_size=5), max_size=2
).map(lambda found: top_k.merge_exemplars([{kind: tuple(items)} for kind, items in found.items()]))
scored = st.dictionaries(
    st.sampled_from(["helpful", "ä", "judge"]) | st.integers(0, 60).map("s{:02}".format),
    st.tuples(st.integers(1, 2**40), st.integers(-(2**50), 2**50), counts),
    max_size=2 * scores.MOST,
).map(scores.first)


def sparse(keys: int, values: st.SearchStrategy[int]) -> st.SearchStrategy[cells.Sparse]:
    """A sparse vector of cells."""
    return st.dictionaries(st.integers(0, keys - 1), values, min_size=1, max_size=6).map(
        lambda found: (np.array(sorted(found), np.uint32), np.array([found[key] for key in sorted(found)]))
    )


celled = st.none() | st.builds(
    cells.Cells,
    sparse(cells.WIDTH * cells.CELLS, st.integers(1, 2**40)),
    st.dictionaries(
        st.integers(0, 60).map("s{:02}".format),
        sparse(2 * cells.CELLS, st.integers(-(2**50), 2**50)),
        max_size=2 * scores.MOST,
    ).map(lambda found: {name: found[name] for name in sorted(found)[: scores.MOST]}),
)
vitals = st.builds(Vitals, sums, maxima, bins, contributors, exemplars, scored, cells=celled)

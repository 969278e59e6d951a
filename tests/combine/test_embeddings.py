"""Sums of embeddings: combine adds up what each vector is by itself, however calls come, and parts add up."""

from __future__ import annotations

import base64
import json
import struct
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brute import DISORDER, PANE, SECOND, START, Place, keep, plan, stage, summed
from llmvitals.combine import CombinePlan
from llmvitals.record.log import Logged
from llmvitals.record.view import Condition, View
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch.moments import MOST, SAMPLE, SOURCE, Meaning, Moments, merge_meaning
from llmvitals.sketch.random_features import FEATURES, key, space

VIEWS = (
    View("all", eager=True),
    View("mean", meaning=True),
    View("mean_app", ("app",), meaning=True, eager=True),
    View("mean_a", ("model",), (("app", Condition(frozenset({"a"}))),), meaning=True),
)
MODELS = ["m", "e", "ä", "b/256", "zz", "a" * 128]


def packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


vectors = st.sampled_from([1, 2, 5, 600]).flatmap(
    lambda size: st.integers(0, 6).map(
        lambda seed: np.random.default_rng(seed).integers(-3, 4, size).astype(float).tolist()
    )
) | st.sampled_from([[0.0], [1e39, 1.0], [0.0, 0.0], [1e-45, 3.0], [1.0, -1e38]])
embeddings = st.builds(
    lambda model, vector, text: {
        "model": model, "vector": packed(vector) if text and max(vector) < 1e39 else vector
    },
    st.sampled_from(MODELS), vectors, st.booleans(),
)  # fmt: skip


@st.composite
def calls(draw: Any, *, most: int = 40, copies: bool = True) -> list[dict[str, Any]]:
    """Not quite in the order of time, over some panes, none of them late."""
    found = []
    for number in range(draw(st.integers(1, most))):
        event: dict[str, Any] = {
            "id": f"c{draw(st.integers(0, 30)) if copies else number}",
            "ts": (START + (number + draw(st.integers(0, 5))) * SECOND) // 1_000,
            "model": "gpt",
            "app": draw(st.sampled_from(["a", "b"])),
            "operation": draw(st.sampled_from(["chat", "embedding", "evaluation"])),
            **draw(st.sampled_from([{}, {"user": "u1"}, {"user": "u2", "session": "s1"}, {"session": "s1"}])),
        }
        given_ = draw(st.none() | embeddings)
        found.append(event if given_ is None else event | {"embedding": given_})
    return found


def logged(events: Sequence[dict[str, Any]]) -> list[Logged]:
    return [Logged(place, event["ts"], json.dumps(event).encode()) for place, event in enumerate(events)]


def rank(name: str, source: str) -> int:
    """A hash of an id, but for the bits that tell the source."""
    return hashed(name) & ~SOURCE | hashed(source) & SOURCE


def hashed(name: str) -> int:
    """With Python's integers."""
    mask = 2**64 - 1
    z = crc32(name.encode()) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return (z ^ z >> 31) >> 1


def read(vector: list[float] | str) -> np.ndarray[Any, Any]:
    if isinstance(vector, str):
        return np.frombuffer(base64.b64decode(vector), "<f4")
    with np.errstate(over="ignore"):
        return np.array(vector).astype(np.float32)


def naive(events: Sequence[dict[str, Any]]) -> dict[tuple[str, int], Meaning]:
    """app → pane → what its vectors add up to, one after the other; and how many were usable."""
    met, sums = set(), defaultdict(lambda: defaultdict(list))
    for event in events:
        pane = event["ts"] * 1_000 // PANE
        if (event["id"], pane) in met or "embedding" not in event:
            met.add((event["id"], pane)) if _counts(event) else None
            continue
        met.add((event["id"], pane))
        vector = read(event["embedding"]["vector"])
        images = space(len(vector)).images(vector[None, :])
        if images.usable[0]:
            name = key(event["embedding"]["model"], len(vector))
            source = event.get("session") or event.get("user") or event["id"]
            sums[event["app"], pane][name].append((event["id"], source, images.x[0], images.z[0]))
    return {
        place: {
            name: Moments.of(
                len(found),
                np.sum([x for _, _, x, _ in found], axis=0, dtype=np.int64),
                np.sum([z for _, _, _, z in found], axis=0, dtype=np.int64),
                tuple(
                    sorted(
                        {(rank(who, source), who, x.astype("<i2").tobytes()) for who, source, x, _ in found}
                    )[:SAMPLE]
                ),
            )
            for name, found in sorted(spaces.items())[:MOST]
        }
        for place, spaces in sums.items()
    }


def _counts(event: dict[str, Any]) -> bool:
    return event["operation"] != "evaluation" or "embedding" in event


def counted(
    log: Sequence[Logged], cuts: Sequence[int] = (), source: str = "calls/0", made: CombinePlan | None = None
) -> dict[Place, Vitals]:
    """What one partition counts, in batches that end at the cuts."""
    one = stage(made or plan(views=VIEWS), source=source)
    content: dict[Any, Any] = {}
    for low, high in pairwise(sorted({0, *cuts, len(log)})):
        keep(content, one.apply(log[low:high]))
        one.delivered(one.mark())
        keep(content, one.flush())
    return summed(keep(content, one.finish()))


@settings(max_examples=60)
@given(calls(), st.sets(st.integers(0, 40)))
def test_a_series_has_the_sums_of_its_vectors_whatever_the_batches(events, cuts):
    found = counted(logged(events), [cut for cut in cuts if cut < len(events)])
    want = naive(events)
    for (app, pane), meaning in want.items():
        assert found["mean_app", (app,), pane].meaning == meaning
        assert ("mean_a", ("gpt",), pane) in found or app != "a"
        if app == "a":
            assert found["mean_a", ("gpt",), pane].meaning == meaning
    for (view, series, pane), vitals in found.items():
        if view == "all":
            assert vitals.meaning == {}
        if view == "mean_app" and (series[0], pane) not in want:
            assert vitals.meaning == {}
        if view == "mean":
            parts = [want.get((app, pane), {}) for app in "ab"]
            assert vitals.meaning == merge_meaning(parts)
            assert vitals.total("embedded_calls") == sum(
                found[at].total("embedded_calls") for at in found if at[0] == "mean_app" and at[2] == pane
            )


@settings(max_examples=60)
@given(calls(copies=False), st.data())
def test_any_partitioning_gives_the_same_bytes(events, data):
    whole = counted(logged(events))
    homes = [data.draw(st.integers(0, 2)) for _ in events]
    parts = [
        counted(logged([event for event, home in zip(events, homes, strict=True) if home == mine]), source=f"calls/{mine}")
        for mine in range(3)
    ]  # fmt: skip
    order = data.draw(st.permutations(parts))
    for place, vitals in whole.items():
        assert merged([part[place] for part in order if place in part]).pack() == vitals.pack()
    assert set(whole) == {place for part in parts for place in part}


def test_what_is_usable_and_what_is_not_is_counted():
    bad = [{"model": "m", "vector": vector} for vector in ([0.0] * 8, [1e39] * 8)]
    good = [{"model": "m", "vector": [1.0] * size} for size in (1, 2, 3, 4, 5, 4_096)]
    events = [
        {"id": str(n), "ts": START // 1_000, "model": "gpt", "app": "a", "operation": operation, "embedding": one}
        for n, (one, operation) in enumerate(zip([*bad, *good], ["chat", "evaluation"] * 4, strict=True))
    ]  # fmt: skip
    found = counted(logged([*events, *events]))
    one = found["mean", (), START // PANE]
    assert one.total("embedded_calls") == 6
    assert one.total("unscored_calls") == 2
    assert one.total("calls") == 4
    assert one.total("duplicates") == 8
    assert list(one.meaning) == ["m/1", "m/2", "m/3", "m/4"], (
        "the first by name, of more than there is room for"
    )
    assert {moments.count for moments in one.meaning.values()} == {1}


def test_a_vector_of_nan_is_a_dead_letter_and_its_neighbours_count():
    events = [
        {"id": str(n), "ts": START // 1_000, "model": "gpt", "embedding": {"model": "m", "vector": vector}}
        for n, vector in enumerate([packed([1, 2]), packed([1, float("nan")]), "%%%", [2.0, 1.0], packed([])])
    ]
    one = stage(plan(views=VIEWS))
    content = keep({}, [*one.apply(logged(events)), *one.finish()])
    assert (one.counters["applied"], one.counters["dead_lettered"]) == (2, 3)
    assert summed(content)["mean", (), START // PANE].meaning["m/2"].count == 2


def test_embedded_calls_are_counted_where_no_rule_asks_for_drift():
    vectors = [[1.0], [0.0], [1e40], [2.0]]
    events = [
        {"id": str(n), "ts": START // 1_000, "model": "gpt", "operation": operation,
         "embedding": {"model": "m", "vector": vector}}
        for n, (operation, vector) in enumerate(zip(["chat", "chat", "chat", "evaluation"], vectors, strict=True))
    ]  # fmt: skip
    one = stage(plan(views=(View("all"),)))
    found = summed(keep({}, [*one.apply(logged([*events, events[0]])), *one.finish()]))[
        "all", (), START // PANE
    ]
    assert (found.total("embedded_calls"), found.total("unscored_calls"), found.meaning) == (2, 2, {})


def test_numbers_and_base64_of_them_are_the_same():
    numbers = np.random.default_rng(3).standard_normal(4_096).astype(np.float32).tolist()
    found = [
        counted(logged([{"id": "x", "ts": START // 1_000, "model": "gpt", "embedding": {"model": "m", "vector": v}}]))
        for v in (numbers, packed(numbers))
    ]  # fmt: skip
    assert found[0]["mean", (), START // PANE].pack() == found[1]["mean", (), START // PANE].pack()


def test_a_scale_of_ones_own_has_a_space_of_its_own():
    event = {
        "id": "x",
        "ts": START // 1_000,
        "model": "gpt",
        "embedding": {"model": "m", "vector": [1.0, 2.0]},
    }
    made = plan(views=VIEWS, scales={"m": 0.7})
    assert list(counted(logged([event]), made=made)["mean", (), START // PANE].meaning) == ["m/2~0.7"]


def test_thousands_of_calls_and_models_are_what_they_are_one_by_one():
    """More than waits before it is added up, more than are worked on at once, more spaces than are kept."""
    dice = np.random.default_rng(5)
    pool = [packed(vector) for vector in dice.standard_normal((50, 12))]
    events: list[dict[str, Any]] = [
        {"id": f"c{n}", "ts": (START + n * 500) // 1_000, "model": "gpt", "app": "ab"[n % 2], "trace_id": f"t{n % 9}",
         "embedding": {"model": MODELS[int(dice.integers(6))], "vector": pool[int(dice.integers(50))]}}
        for n in range(9_000)
    ]  # fmt: skip
    found = counted(logged(events), range(0, 9_000, 1_000))
    for app in "ab":
        mine = [event for event in events if event["app"] == app]
        meaning = found["mean_app", (app,), START // PANE].meaning
        assert list(meaning) == sorted(key(model, 12) for model in MODELS)[:MOST]
        for name, moments in meaning.items():
            own = [event for event in mine if key(event["embedding"]["model"], 12) == name]
            images = space(12).images(np.array([read(event["embedding"]["vector"]) for event in own]))
            x, z = moments.sums()
            assert moments.count == len(own)
            assert np.array_equal(x, images.x.sum(axis=0, dtype=np.int64))
            assert np.array_equal(z, images.z.sum(axis=0, dtype=np.int64))
            least = sorted(
                (rank(event["id"], event["id"]), event["trace_id"], row.astype("<i2").tobytes())
                for event, row in zip(own, images.x, strict=True)
            )[:SAMPLE]
            assert moments.sample == tuple(least)


def test_a_space_that_gives_way_leaves_nothing_behind():
    names = ["d", "e", "f", "g", "c", "b", "h", "g"]
    events = [
        {"id": str(n), "ts": START // 1_000, "model": "gpt", "app": "a",
         "embedding": {"model": name, "vector": [1.0 + n, 3.0]}}
        for n, name in enumerate(names)
    ]  # fmt: skip
    want = naive(events)["a", START // PANE]
    assert list(want) == ["b/2", "c/2", "d/2", "e/2"]
    for cuts in ([], range(1, len(names))):
        assert counted(logged(events), cuts)["mean_app", ("a",), START // PANE].meaning == want


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 8, 50, 200])
def test_the_sample_is_the_least_of_all(batch):
    events = [
        {"id": f"call {n}", "ts": (START + n % 20 * SECOND) // 1_000 if n % 2 else START // 1_000, "model": "gpt",
         "app": "a", "embedding": {"model": "m", "vector": [float(n), 1.0]}}
        for n in range(0, 200, 1)
    ]  # fmt: skip
    made = plan(views=VIEWS, disorder_us=30 * SECOND)
    found = counted(logged(events), range(batch, 200, batch), made=made)
    for (app, pane), meaning in naive(events).items():
        assert found["mean_app", (app,), pane].meaning == meaning
        assert len(meaning["m/2"].sample) == SAMPLE


# The law


def moments(draw: Any, width: int) -> Moments:
    big = draw(st.sampled_from([10, 2**14, 2**30, 2**58]))
    seed = draw(st.integers(0, 1_000))
    x, z = np.split(np.random.default_rng(seed).integers(-big, big, width + FEATURES), [width])
    # Fewer ones are also what an earlier version has kept: eight.
    sample = draw(st.lists(st.integers(0, 60), max_size=SAMPLE + 8, unique=True))
    seen = sorted((number, f"t{number}", bytes([number] * 2 * width)) for number in sample)[:SAMPLE]
    return Moments.of(len(seen) + seed, x, z, tuple(seen))


@st.composite
def meanings(draw: Any) -> Meaning:
    found = draw(st.dictionaries(st.sampled_from("abcdefg"), st.just(3), max_size=MOST))
    return {name: moments(draw, width) for name, width in sorted(found.items())}


@settings(max_examples=60)
@given(st.lists(meanings(), min_size=1, max_size=5), st.data())
def test_vitals_with_meaning_merge_to_the_same_bytes_in_any_order_and_grouping(parts, data):
    several = [Vitals(meaning=part) for part in parts]
    want = merged(several).pack()
    shuffled = data.draw(st.permutations(several))
    cut = data.draw(st.integers(0, len(parts)))
    groups = [merged(group) for group in (shuffled[:cut], shuffled[cut:])]
    assert merged([Vitals.unpack(group.pack()) for group in groups]).pack() == want
    assert Vitals.unpack(want).pack() == want
    x = merged(several).meaning
    for name, found in x.items():
        assert (
            found.sums()[1].tolist() == sum(part[name].sums()[1] for part in parts if name in part).tolist()
        )


def test_vitals_from_before_there_were_vectors_have_none():
    old = msgspec.msgpack.encode(((1,), (2,), b"", b"", {}, {}, {}))
    assert Vitals.unpack(old).meaning == {}


@pytest.mark.parametrize(("top", "width"), [(32_767, 2), (32_768, 4), (-(2**31) + 1, 4), (2**31, 8)])
def test_sums_take_no_more_bytes_than_they_need(top, width):
    x, z = np.array([1, top]), np.zeros(FEATURES, np.int64)
    made = Moments.of(1, x, z)
    assert (len(made.x), len(made.z)) == (2 * width, FEATURES * width)
    assert made.sums()[0].tolist() == [1, top]


assert DISORDER < PANE

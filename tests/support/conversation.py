"""Calls about topics: clusters on a sphere, as vitals of minutes or panes, without any model."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import numpy as np

from llmvitals.record.vitals import Vitals
from llmvitals.sketch.moments import SOURCE, Moments, least
from llmvitals.sketch.random_features import Images, key, space

WIDTH = 48
TOPICS = 20
"""Old ones; NEW comes after them."""
NEW = TOPICS
BETWEEN = TOPICS + 1
"""A topic near the fourth of the old ones, a little like the new one."""
SPACE = key("model-a", WIDTH)


@cache
def images() -> tuple[Images, np.ndarray]:
    """4,400 vectors, and the topic of each."""
    rng = np.random.default_rng(48)
    centres = rng.normal(size=(TOPICS + 1, WIDTH))
    centres = np.vstack([centres, 0.85 * centres[3] + 0.15 * centres[NEW]])
    topic = np.repeat(np.arange(TOPICS + 2), 200)
    vectors = centres[topic] + rng.normal(size=(len(topic), WIDTH))
    return space(WIDTH).images(vectors.astype(np.float32)), topic


def moments(rows: np.ndarray, name: str = "t", alone: int = 0) -> Moments:
    """Of calls with the vectors of these rows; their trace ids are `name-row-place`.

    alone: so many of them are of one source, each other one is of its own.
    """
    found, _ = images()
    ranks = [crc32(f"{name} {place}".encode()) * (SOURCE + 2) for place in range(len(rows))]
    ranks[:alone] = [rank & ~SOURCE for rank in ranks[:alone]]
    sample = least(
        (rank, f"{name}-{row}-{place}", found.x[row].astype("<i2").tobytes())
        for place, (rank, row) in enumerate(zip(ranks, rows.tolist(), strict=True))
    )
    x, z = found.x[rows].sum(axis=0, dtype="<i8"), found.z[rows].sum(axis=0, dtype="<i8")
    return Moments(len(rows), x.tobytes(), z.tobytes(), sample)


def talk(
    rng: np.random.Generator, calls: int, *, new: float = 0.0, same: int = 0, loops: int = 0
) -> np.ndarray:
    """Rows: about any old topic, a share about the new one; `same` of them one text, `loops` of the same 5 ever."""
    _, topic = images()
    rows = rng.choice(np.flatnonzero(topic < NEW), calls)
    fresh = rng.random(calls) < new
    rows[fresh] = rng.choice(np.flatnonzero(topic == NEW), fresh.sum())
    rows[:same] = rows[0]
    rows[:loops] = rng.choice(np.arange(0, 4_000, 800), loops)
    return rows


def closer(rows: np.ndarray, share: float) -> Vitals:
    """A pane of calls whose vectors are that share as far from the mean of all as they were."""
    x = images()[0].x.astype(float)
    near = np.rint(x.mean(axis=0) + share * (x[rows] - x.mean(axis=0)))
    z = space(WIDTH).features(near)
    sums = near.sum(axis=0).astype("<i8"), z.sum(axis=0, dtype="<i8")
    return Vitals(meaning={SPACE: Moments(len(rows), *(each.tobytes() for each in sums))})


def about(rows: np.ndarray, name: str = "t", model: str = SPACE, alone: int = 0) -> Vitals:
    """A pane."""
    return Vitals(meaning={model: moments(rows, name, alone)})

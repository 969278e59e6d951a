"""Vectors become integers: the same bytes in any batch, near the vector and near its kernel."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmvitals.sketch import random_features as law
from llmvitals.sketch.random_features import FEATURES, NORM, UNIT, WIDEST, Space, key, of_key, space


def some(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


@pytest.mark.parametrize("dimension", [1, 2, 3, 64, 256, 512, 513, 768, 1536, 4096])
def test_a_vector_has_the_same_images_in_any_batch(dimension):
    vectors = some(1_100, dimension)
    whole = space(dimension).images(vectors)
    assert whole.x.shape == (1_100, min(dimension, WIDEST))
    assert whole.z.shape == (1_100, FEATURES)
    assert whole.usable.all()
    cuts = [0, 1, 8, 9, 520, 1_100]
    parts = [space(dimension).images(vectors[a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate([part.x for part in parts]), whole.x)
    assert np.array_equal(np.concatenate([part.z for part in parts]), whole.z)
    strided = np.asfortranarray(vectors)
    assert np.array_equal(space(dimension).images(strided).z, whole.z)


@pytest.mark.parametrize("scale", [0.01, 0.7, 1.0, 100.0])
def test_products_are_exact(scale):
    """float products against Python's integers: nothing is rounded."""
    for width in (1, 7, 512):
        one = Space(width, scale)
        x, _ = one.vectors(some(3, width, 1))
        want = x.astype(object) @ one._directions.astype(np.int64).astype(object)
        steps = [[(int(value) >> one._shift) % 4_096 for value in row] for row in want]
        table = np.rint(np.exp(2j * np.pi * np.array(steps) / 4_096).view(np.float64) * UNIT)
        assert np.array_equal(one.features(x), table)


def test_the_images_are_the_same_on_every_machine():
    """Integers and single IEEE operations made them, so a digest of them may stand here."""
    vectors = (np.arange(40 * 700).reshape(40, 700) % 97 - 48).astype(np.float32)
    images = space(700).images(vectors)
    digest = hashlib.sha256(images.x.astype("<i2").tobytes() + images.z.astype("<i4").tobytes()).hexdigest()
    assert digest == DIGEST
    turn = 2 * np.pi * np.arange(4_096) / 4_096
    for wave in (np.cos(turn), np.sin(turn)):
        assert np.abs(np.abs(wave * UNIT) % 1 - 0.5).min() > 1e-5, (
            "no value that another libm could round otherwise"
        )


DIGEST = "fb291b1886178fa5aa07e0171e736e37819b57cd4933ff3e9758b4808f9ef0ec"


@settings(max_examples=40)
@given(st.integers(-120, 120), st.integers(0, 2**32 - 1))
def test_length_says_nothing(power, seed):
    vectors = some(4, 48, seed)
    longer = vectors.astype(np.float64) * 2.0**power
    want, found = space(48).images(vectors), space(48).images(longer.astype(np.float32))
    kept = np.isfinite(longer.astype(np.float32)).all(axis=1) & (np.abs(longer) > 1e-37).all(axis=1)
    assert np.array_equal(want.x[kept], found.x[kept])


def test_what_has_no_direction_is_not_usable_and_hurts_no_neighbour():
    vectors = some(6, 30)
    good = space(30).images(vectors)
    bad = vectors.copy()
    bad[1], bad[2, 3], bad[4, 0], bad[5, 29] = 0, np.nan, np.inf, -np.inf
    found = space(30).images(bad)
    assert found.usable.tolist() == [True, False, False, True, False, False]
    assert not found.x[~found.usable].any()
    assert not found.z[~found.usable].any()
    assert np.array_equal(found.z[[0, 3]], good.z[[0, 3]])
    tiny = np.full((1, 30), 1e-45, np.float32)
    assert space(30).images(tiny).usable.all()


@pytest.mark.parametrize("dimension", [16, 256, 512])
def test_x_is_the_vector_at_a_fixed_length(dimension):
    vectors = some(200, dimension)
    x = space(dimension).images(vectors).x
    assert np.abs(x - unit(vectors) * NORM).max() <= 0.51


@pytest.mark.parametrize("dimension", [768, 1536, 4096])
def test_long_vectors_keep_their_angles_when_projected(dimension):
    base, noise = some(300, dimension), some(300, dimension, 1)
    other = base + 0.7 * noise
    want = (unit(base) * unit(other)).sum(axis=1)
    x, y = (space(dimension).images(vectors).x.astype(float) / NORM for vectors in (base, other))
    off = (x * y).sum(axis=1) - want
    assert abs(off.mean()) < 0.01
    assert np.sqrt((off**2).mean()) < 0.06


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_products_of_features_are_the_gaussian_kernel(scale):
    dimension, base = 128, some(400, 128)
    for near in (0.1, 0.4, 1.0, 3.0):
        other = base + near * some(400, dimension, 1)
        squared = ((unit(base) - unit(other)) ** 2).sum(axis=1)
        one, two = (
            space(dimension, scale).images(vectors).z.astype(float) / UNIT for vectors in (base, other)
        )
        half = FEATURES // 2
        for part, bandwidth in ((slice(0, half), scale), (slice(half, None), scale / 2)):
            found = (one[:, part] * two[:, part]).sum(axis=1) / (half / 2)
            want = np.exp(-squared / (2 * bandwidth**2))
            assert abs((found - want).mean()) < 0.05
            assert np.sqrt(((found - want) ** 2).mean()) < 1.5 / np.sqrt(half / 2)


def test_a_key_names_its_space_whatever_the_model_is_called():
    assert of_key(key("a/b~c", 300)) is space(300)
    assert of_key(key("", 300, 0.7)) is space(300, 0.7)
    assert key("m", 300) != key("m", 300, 0.7)
    assert law.DEFAULT == 1.0

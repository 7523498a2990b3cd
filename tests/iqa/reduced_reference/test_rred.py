"""What is special to RRED: figures are in `tests/golden`."""

import functools

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.iqa.reduced_reference.rred import extract, rred, score


@pytest.fixture
def pair():
    photo = data.camera()[100:220, 200:320, None] / 255
    noise = np.random.default_rng(0).normal(0, 0.05, photo.shape)
    return photo, np.clip(photo + noise, 0, 1)


def test_a_single_number_gives_the_difference_of_means(pair):
    with jax.enable_x64(True):
        means = [float(np.mean(jax.jit(extract)(image).entropies)) for image in pair]
        features = jax.jit(functools.partial(extract, single=True))(pair[0])
        assert features.entropies.shape == (1, 1)
        expected = pytest.approx(abs(means[0] - means[1]), rel=1e-9)
        assert float(jax.jit(score)(features, pair[1])) == expected
        single = jax.jit(functools.partial(rred, single=True))(*pair)
        assert float(single) == expected
        assert single <= jax.jit(rred)(*pair)


def test_the_white_is_told(pair):
    with jax.enable_x64(True):
        scaled = jax.jit(functools.partial(rred, data_range=255.0))(*(255 * x for x in pair))
        assert float(scaled) == pytest.approx(float(jax.jit(rred)(*pair)), rel=1e-9)

"""Maximum differentiation: one metric stays, the other is driven both ways."""

import functools

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.iqa.competition import maximum_differentiation


def mse(reference, image):
    return ((reference - image) ** 2).mean()


def smoothness(reference, image):
    error = image - reference
    return -((error[1:] - error[:-1]) ** 2).mean() - ((error[:, 1:] - error[:, :-1]) ** 2).mean()


@pytest.fixture(scope='module')
def pair():
    photo = data.chelsea()[100:148, 120:168, :1].astype(np.float32) / np.float32(255)
    noise = np.random.default_rng(0).normal(0, 0.05, photo.shape)
    return photo, np.clip(photo + noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_one_metric_stays_while_the_other_is_driven(pair, sign):
    drive = jax.jit(functools.partial(maximum_differentiation, mse, smoothness, steps=60,
                                      sign=sign))
    image, varied, held = drive(*pair)
    assert image.shape == pair[0].shape
    assert np.min(image) >= 0
    assert np.max(image) <= 1
    np.testing.assert_allclose(held, held[0], rtol=1e-3)
    assert float(mse(pair[0], image)) == pytest.approx(float(held[0]), rel=1e-3)
    assert sign * (smoothness(pair[0], image) - varied[0]) > 0.3 * abs(varied[0])


def test_smoothest_error_of_given_energy_is_nearly_flat():
    """On mid grey, where nothing clips, the best is the constant error: a closed form."""
    grey = np.full((16, 16, 1), 0.5, np.float32)
    start = grey + np.random.default_rng(1).normal(0.02, 0.02, grey.shape).astype(np.float32)
    image, varied, _ = jax.jit(functools.partial(
        maximum_differentiation, mse, smoothness, steps=400, step_size=2.0))(grey, start)
    assert float(smoothness(grey, image)) > 0.02 * float(varied[0])
    energy = float(mse(grey, start)) ** 0.5
    np.testing.assert_allclose(np.mean(image - grey), energy, rtol=0.02)

"""The viewing distance of FLIP and its map."""

import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.flip import flip, monitor_pixels_per_degree


def test_the_default_is_the_evaluators_monitor():
    assert monitor_pixels_per_degree() == pytest.approx(67.0206433, abs=1e-6)
    assert monitor_pixels_per_degree(distance=1.4, pixels=1920) == monitor_pixels_per_degree()
    grey = np.full((24, 24, 3), 0.5, np.float32)
    noisy = grey + np.random.default_rng(0).uniform(-0.2, 0.2, grey.shape).astype(np.float32)
    assert flip(grey, noisy) == flip(grey, noisy, pixels_per_degree=monitor_pixels_per_degree())
    assert flip(grey, noisy, pixels_per_degree=134.0) < flip(grey, noisy)


def test_the_map_is_local_and_its_mean_is_the_score():
    grey = np.full((64, 48, 3), 0.5, np.float32)
    changed = grey.copy()
    changed[8:12, 8:12] = 1.0
    score, errors = flip(grey, changed, return_map=True)
    assert errors.shape == (64, 48)
    assert np.asarray(errors)[40:].max() < 1e-6 < 0.5 < errors[10, 10]
    assert float(score) == pytest.approx(np.asarray(errors).mean(), rel=1e-5)


def test_the_distance_must_be_over_0():
    image = np.zeros((16, 16, 3), np.float32)
    with pytest.raises(InputError, match='pixels_per_degree: expected a number over 0'):
        flip(image, image, pixels_per_degree=0.0)

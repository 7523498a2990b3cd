"""UQI's special cases and windows, against the index written out window by window."""

import jax
import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.uqi import uqi


def _slow(x, y, size):
    def index(a, b):
        if a.std() == 0 and b.std() == 0:
            structure = 1.0
        else:
            structure = 2 * ((a - a.mean()) * (b - b.mean())).mean() / (a.var() + b.var())
        power = a.mean() ** 2 + b.mean() ** 2
        return structure * (2 * a.mean() * b.mean() / power if power > 0 else 1.0)
    rows, columns = (side - size + 1 for side in x.shape)
    return np.array([[index(x[i:i + size, j:j + size], y[i:i + size, j:j + size])
                      for j in range(columns)] for i in range(rows)])


@pytest.mark.parametrize('size', [2, 5, 7, 8])
def test_map_equals_a_slow_one(size):
    generator = np.random.default_rng(0)
    x, y = np.round(255 * generator.random((2, 19, 16))) / 255
    x[:10, :9], y[:9, :10] = 0.0, 0.25  # black, flat, and a corner where both are flat
    x[:4] = y[:4] = 0.0
    score, local = uqi(*(np.float32(image[..., None]) for image in (x, y)), window_size=size,
                       return_map=True)
    expected = _slow(x, y, size)
    np.testing.assert_allclose(local, expected, atol=2e-5)
    assert score == pytest.approx(expected.mean(), abs=1e-5)


def test_small_variances_keep_their_digits_in_float32():
    noise = np.random.default_rng(1).normal(0, 1e-4, (2, 24, 24, 1))
    images = [np.float32(0.9 + plane) for plane in noise]
    with jax.enable_x64(True):
        double = uqi(*(np.float64(image) for image in images))
    assert uqi(*images) == pytest.approx(float(double), abs=5e-5)


def test_bad_options_are_named():
    image = np.zeros((12, 12, 1), np.float32)
    with pytest.raises(InputError, match='window_size: expected at least 2'):
        uqi(image, image, window_size=1)
    with pytest.raises(InputError, match="window: .* did you mean 'gaussian'"):
        uqi(image, image, window='gauss')

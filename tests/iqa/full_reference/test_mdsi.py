import jax
import numpy as np
import pytest
from scipy import ndimage

from vision_jax.iqa.full_reference.mdsi import mdsi


def _slow_mdsi(reference, distorted, combination):
    """The formulas on complex numbers, for images that are not reduced."""
    def gradient(plane):
        kernel = np.array([[1, 0, -1]] * 3) / 3
        parts = [ndimage.convolve(plane, k, mode='constant') for k in (kernel, kernel.T)]
        return np.hypot(*parts)

    def alike(a, b, constant):
        return (2 * a * b + constant) / (a ** 2 + b ** 2 + constant)

    matrix = np.array([[0.2989, 0.587, 0.114], [0.3, 0.04, -0.35], [0.34, -0.6, 0.17]])
    (l1, h1, m1), (l2, h2, m2) = (np.moveaxis(255 * x @ matrix.T, -1, 0)
                                  for x in (reference, distorted))
    one, two, mean = gradient(l1), gradient(l2), gradient((l1 + l2) / 2)
    first = alike(one, two, 140) + alike(two, mean, 55) - alike(one, mean, 55)
    second = (2 * (h1 * h2 + m1 * m2) + 550) / (h1 ** 2 + h2 ** 2 + m1 ** 2 + m2 ** 2 + 550)
    first, second = first.astype(complex), second.astype(complex)
    both = 0.6 * first + 0.4 * second if combination == 'sum' else first ** 0.2 * second ** 0.1
    root = np.sqrt(np.sqrt(both))
    assert (root.imag != 0).any()
    return np.abs(root - root.mean()).mean() ** 0.25


@pytest.mark.parametrize('combination', ['sum', 'mult'])
def test_negative_similarity_has_complex_powers(combination):
    rng = np.random.default_rng(0)
    reference = rng.random((24, 31, 3))
    distorted = 1 - reference
    distorted[:, :, 1] *= 0.2
    with jax.enable_x64(True):
        score = mdsi(reference, distorted, combination=combination)
    assert float(score) == pytest.approx(_slow_mdsi(reference, distorted, combination), rel=1e-10)

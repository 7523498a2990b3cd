"""Moments of blocks against a loop over them."""

import jax
import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.ops.block_moments import block_moments


@pytest.mark.parametrize(('size', 'stride'), [(16, 4), (8, 4), (6, 6), (5, 1)])
def test_moments_are_those_of_a_loop(size, stride):
    plane = np.random.default_rng(0).gamma(2, size=(2, 37, 42))
    with jax.enable_x64(True):
        mean, sums = block_moments(plane, size=size, stride=stride, order=4)
    assert len(sums) == 3
    for i in range(mean.shape[1]):
        for j in range(mean.shape[2]):
            block = plane[:, i * stride:i * stride + size, j * stride:j * stride + size]
            centre = block.mean((1, 2))
            np.testing.assert_allclose(mean[:, i, j], centre)
            for power, total in enumerate(sums, start=2):
                expected = ((block - centre[:, None, None]) ** power).sum((1, 2))
                np.testing.assert_allclose(total[:, i, j], expected, atol=1e-9)
    assert mean.shape[1:] == ((37 - size) // stride + 1, (42 - size) // stride + 1)


def test_float32_keeps_the_fourth_moment_of_small_deviations():
    plane = 100 + 0.25 * np.random.default_rng(0).integers(-2, 3, (16, 16))
    _, (_, _, fourth) = block_moments(np.float32(plane), size=16, stride=4, order=4)
    np.testing.assert_allclose(fourth[0, 0], ((plane - plane.mean()) ** 4).sum(), rtol=1e-4)


@pytest.mark.parametrize('arguments', [
    {'size': 18, 'stride': 6, 'order': 2}, {'size': 8, 'stride': 3, 'order': 2},
    {'size': 8, 'stride': 4, 'order': 5}])
def test_what_cannot_be_cut_is_refused(arguments):
    with pytest.raises(InputError, match='plane: expected at least'):
        block_moments(np.zeros((17, 40), np.float32), **arguments)

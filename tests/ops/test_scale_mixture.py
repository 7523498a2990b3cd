"""The scale mixture against brute force, and where its covariance has no inverse."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from vision_jax.ops.scale_mixture import scale_mixture, whole_blocks


def _brute(band, margin: int):
    """With pinv, NumPy's covariance and windows."""
    every = np.lib.stride_tricks.sliding_window_view(band, (3, 3)).reshape(-1, 9)
    covariance = np.cov(every.T, bias=True)
    height, width = (side // 3 for side in band.shape)
    blocks = band.reshape(height, 3, width, 3).transpose(0, 2, 1, 3).reshape(height, width, 9)
    inverse = np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
    variance = np.einsum('hwi,ij,hwj->hw', blocks, inverse, blocks) / 9
    inner = slice(margin, -margin or None)
    return variance[inner, inner], np.linalg.eigvalsh(covariance)


@pytest.fixture
def band():
    noise = np.random.default_rng(0).normal(size=(33, 48))
    return 40 * ndimage.gaussian_filter(noise, 0.8)


@pytest.mark.parametrize('margin', [0, 2])
def test_equals_brute_force(band, margin):
    variance, spectrum = _brute(band, margin)
    with jax.enable_x64(True):
        got = scale_mixture(band, margin=margin)
        np.testing.assert_allclose(got[0], variance, rtol=1e-8)
        np.testing.assert_allclose(got[1], spectrum, rtol=1e-8)
    got = scale_mixture(band.astype(np.float32), margin=margin)
    np.testing.assert_allclose(got[0], variance, rtol=1e-4)


def test_stripes_have_the_variance_of_the_pseudo_inverse(band):
    striped = np.broadcast_to(band[:1], band.shape)
    variance, spectrum = _brute(striped, 0)
    with jax.enable_x64(True):
        got = scale_mixture(striped)
        np.testing.assert_allclose(got[0], variance, rtol=1e-6)
        np.testing.assert_allclose(got[1], spectrum, atol=1e-9 * spectrum[-1])


@pytest.mark.parametrize('form', ['stripes', 'diagonal stripes', 'flat', 'zero'])
def test_singular_covariances_have_finite_derivatives(band, form):
    line = band[0, :33]
    singular = {
        'stripes': np.broadcast_to(line, (33, 33)),
        'diagonal stripes': line[(np.arange(33)[:, None] + np.arange(33)) % 33],
        'flat': np.full((33, 33), 3.0), 'zero': np.zeros((33, 33))}[form].astype(np.float32)
    value, slope = jax.value_and_grad(
        lambda x: sum(part.sum() for part in scale_mixture(x)))(singular)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_rest_of_blocks_is_cut():
    assert whole_blocks(np.zeros((2, 11, 12))).shape == (2, 9, 12)

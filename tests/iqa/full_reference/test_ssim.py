"""SSIM beyond the recorded figures: maps, even windows, large factors, float32."""

import jax
import numpy as np
import pytest
from scipy import ndimage
from skimage import data, metrics

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.ssim import ssim


@pytest.fixture
def pair():
    reference = data.camera()[100:150, 200:243] / 255
    distorted = ndimage.gaussian_filter(reference, 1.0)
    return tuple(image[..., None].astype(np.float32) for image in (reference, distorted))


def test_map_equals_that_of_scikit_image(pair):
    score, local = ssim(*pair, return_map=True)
    _, full = metrics.structural_similarity(
        *(np.float64(image[..., 0]) for image in pair), gaussian_weights=True, data_range=1.0,
        use_sample_covariance=False, full=True)
    np.testing.assert_allclose(local, full[5:-5, 5:-5], atol=2e-4)
    assert score == pytest.approx(float(local.mean()), rel=1e-6)


def test_the_2009_code_downsamples_by_a_mirrored_mean(pair):
    large = [np.kron(image[..., 0], np.ones((16, 16)))[:650, :680, None].astype(np.float32)
             for image in pair]  # F = 3
    small = [ndimage.uniform_filter(image, (3, 3, 1), mode='reflect')[::3, ::3] for image in large]
    assert ssim(*large, downsample='auto') == pytest.approx(float(ssim(*small)), rel=1e-5)


def test_variance_of_bright_noise_survives_float32():
    noise = np.random.default_rng(0).normal(0, 0.002, (2, 40, 40, 1))
    images = [np.clip(0.99 + plane, 0, 1) for plane in noise]
    single = ssim(*(np.float32(image) for image in images))
    with jax.enable_x64(True):
        double = ssim(*(np.float64(np.float32(image)) for image in images))
    assert single == pytest.approx(float(double), abs=1e-5)


@pytest.mark.parametrize(('options', 'message'), [
    ({'window': 'box'}, 'window: unknown name'),
    ({'downsample': 'automatic'}, "did you mean 'auto'"),
    ({'covariance': 'samples'}, "did you mean 'sample'"),
    ({'padding': 'mirror'}, 'padding: unknown name'),
    ({'k2': 0.0}, 'k1 and k2: expected'),
    ({'window_size': 51}, 'reference: height and width must be at least 51'),
])
def test_bad_options_are_named(pair, options, message):
    with pytest.raises(InputError, match=message):
        ssim(*pair, **options)

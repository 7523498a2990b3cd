"""PSNR and MSE beyond the contract: scales, luma, equal images."""

import jax
import numpy as np
import pytest
from skimage import color, metrics

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.mse import mse
from vision_jax.iqa.full_reference.psnr import psnr, psnr_y


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    reference = generator.random((12, 15, 3), np.float32)
    return reference, np.clip(reference + generator.normal(0, 0.1, (12, 15, 3)), 0, 1).astype('f4')


def test_mse_has_the_squared_units_of_the_images(pair):
    reference, distorted = (np.round(255 * image) for image in pair)
    expected = metrics.mean_squared_error(reference, distorted)
    assert mse(reference, distorted, data_range=255.0) == pytest.approx(expected, rel=1e-6)
    score, squares = mse(reference, distorted, data_range=255.0, return_map=True)
    assert squares.shape == (12, 15)
    assert score == pytest.approx(float(squares.mean()), rel=1e-6)


def test_psnr_depends_on_the_ratio_to_the_data_range_alone(pair):
    scaled = psnr(*(1023 * image for image in pair), data_range=1023.0)
    assert scaled == pytest.approx(float(psnr(*pair)), rel=1e-5)


def test_psnr_y_equals_a_composition_of_scikit_image(pair):
    luma = [color.rgb2ycbcr(image)[..., 0] for image in pair]
    assert luma[0].min() >= 16
    expected = metrics.peak_signal_noise_ratio(*luma, data_range=255)
    assert psnr_y(*pair) == pytest.approx(expected, rel=1e-5)


def test_equal_images_score_infinity_with_a_gradient_of_nought(pair):
    score, gradient = jax.value_and_grad(psnr)(pair[0], pair[0])
    assert np.isposinf(score)
    assert not gradient.any()
    assert psnr(pair[0], pair[0], epsilon=1e-8) == pytest.approx(80.0)
    # one channel that is equal makes OpenCV's mean over channels infinite
    half = np.stack([pair[0][..., 0], *np.moveaxis(pair[1], -1, 0)[1:]], -1)
    assert np.isposinf(psnr(pair[0], half, average='channels'))
    assert np.isfinite(psnr(pair[0], half))


def test_bad_options_are_named(pair):
    with pytest.raises(InputError, match="average: .* did you mean 'channels'"):
        psnr(*pair, average='channel')
    with pytest.raises(InputError, match='epsilon: expected at least 0'):
        psnr(*pair, epsilon=-1.0)
    with pytest.raises(InputError, match='colour: unknown name'):
        mse(*pair, colour='grey')

"""MS-SSIM where means are negative, its sum, and sizes; IW-SSIM without information."""

import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.iw_ssim import iw_ssim
from vision_jax.iqa.full_reference.ms_ssim import WEIGHTS, combine_scales, ms_ssim

MEANS = [0.9, -0.4, 0.7, -0.1, 0.3]


@pytest.fixture
def image():
    return np.random.default_rng(0).random((176, 176, 1), np.float32)


def test_real_part_is_that_of_the_complex_product():
    expected = np.prod(np.array(MEANS, complex) ** np.array(WEIGHTS)).real
    got = combine_scales([np.float32([mean]) for mean in MEANS], negative='real')
    assert float(got) == pytest.approx(expected, rel=1e-5)
    assert float(combine_scales([np.float32([mean]) for mean in MEANS])) == 0.0


def test_weighted_sum_is_of_weights_with_the_sum_1():
    got = combine_scales([np.float32([mean]) for mean in MEANS], combine='weighted_sum')
    assert float(got) == pytest.approx(np.average(MEANS, weights=WEIGHTS), rel=1e-5)


def test_negatives_of_an_image_have_the_score_nought(image):
    assert float(ms_ssim(image, 1 - image)) == 0.0
    assert float(ms_ssim(image, 1 - image, combine='weighted_sum')) < -0.5


@pytest.mark.parametrize(('downsample', 'side'), [
    ('matlab', 176), ('crop', 176), ('pool', 161), ('pool_zero', 161)])
def test_least_side_holds_the_window_at_the_last_scale(image, downsample, side):
    least = image[:side, :side]
    assert float(ms_ssim(least, least, downsample=downsample)) == pytest.approx(1.0)
    with pytest.raises(InputError, match=f'reference: height and width must be at least {side}'):
        ms_ssim(least[1:], least[1:], downsample=downsample)


def test_information_of_a_flat_reference_leaves_equal_weights(image):
    flat = np.full_like(image, 0.5)
    assert np.isfinite(float(iw_ssim(flat, image)))
    assert float(iw_ssim(flat, flat)) == pytest.approx(1.0)


@pytest.mark.parametrize(('options', 'message'), [
    ({'downsample': 'pool2'}, "downsample: .* did you mean 'pool'"),
    ({'negative': 'rellu'}, "negative: .* did you mean 'relu'"),
    ({'combine': 'sum'}, 'combine: unknown name'),
    ({'weights': ()}, 'weights: expected at least one'),
])
def test_bad_options_are_named(image, options, message):
    with pytest.raises(InputError, match=message):
        ms_ssim(image, image, **options)

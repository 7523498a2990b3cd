"""Colour conversions against scikit-image, Pillow and their own inverses."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import color

from vision_jax.core.errors import InputError
from vision_jax.ops import colour

pytestmark = pytest.mark.usefixtures('strict_dtypes')


@pytest.fixture
def image():
    pixels = np.random.default_rng(0).random((2, 9, 7, 3), np.float32)
    pixels[0, 0, :3] = [[0, 0, 0], [1, 1, 1], [0.02, 0.03, 0.01]]
    return pixels


def test_lab_equals_scikit_image(image):
    np.testing.assert_allclose(colour.rgb_to_lab(image), color.rgb2lab(image), atol=5e-3)


def test_lab_d50_is_d65_of_a_scaled_white(image):
    xyz = color.rgb2xyz(image) / [0.9642, 1.0, 0.8251]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) / 116)
    expected = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]),
                         200 * (f[..., 1] - f[..., 2])], -1)
    got = colour.rgb_to_lab(image, white_point='D50')
    np.testing.assert_allclose(got, expected, atol=1e-2)  # scikit-image's matrix has 6 digits


def test_lab_of_channels_first_is_the_same(image):
    first = colour.rgb_to_lab(np.moveaxis(image, -1, 1), axis=1)
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), colour.rgb_to_lab(image), atol=1e-4)


def test_hsv_equals_colorsys(image):
    expected = np.array([colorsys.rgb_to_hsv(*p) for p in image.reshape(-1, 3).tolist()])
    np.testing.assert_allclose(colour.rgb_to_hsv(image).reshape(-1, 3), expected, atol=1e-5)


def test_full_range_ycbcr_equals_pillow():
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).convert('YCbCr')).astype(float)
    got = 255 * colour.rgb_to_ycbcr(pixels.astype(np.float32) / np.float32(255))
    above = got - expected  # Pillow rounds down
    assert (above.min() > -0.05, above.max() < 1.01) == (True, True)


@pytest.mark.parametrize('full_range', [True, False])
def test_grey_has_chroma_128(full_range):
    grey = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None] * np.ones((1, 1, 3), np.float32)
    chroma = 255 * colour.rgb_to_ycbcr(grey, full_range=full_range)[..., 1:]
    np.testing.assert_allclose(chroma, 128, atol=1e-4)


def test_studio_range_ycbcr_equals_scikit_image(image):
    got = 255 * colour.rgb_to_ycbcr(image, full_range=False)
    np.testing.assert_allclose(got, color.rgb2ycbcr(image), atol=2e-3)


def test_yiq_equals_scikit_image(image):
    got = colour.rgb_to_yiq(image, digits='four_digits')
    np.testing.assert_allclose(got, color.rgb2yiq(image), atol=1e-4)


@pytest.mark.parametrize(('forward', 'back', 'options'), [
    (colour.rgb_to_lab, colour.lab_to_rgb, {}),
    (colour.rgb_to_lab, colour.lab_to_rgb, {'white_point': 'D50', 'linearise': False}),
    (colour.rgb_to_hsv, colour.hsv_to_rgb, {}),
    (colour.rgb_to_ycbcr, colour.ycbcr_to_rgb, {}),
    (colour.rgb_to_ycbcr, colour.ycbcr_to_rgb, {'full_range': False}),
])
def test_inverse_returns_the_image(image, forward, back, options):
    np.testing.assert_allclose(back(forward(image, **options), **options), image, atol=2e-5)


def test_grey_rounds_half_up_as_uint8():
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
    weights = [0.298936021293775, 0.587043074451121, 0.114020904255103]
    expected = np.floor(pixels @ np.array(weights) + 0.5)
    got = colour.rgb_to_grey(pixels.astype(np.float32) / np.float32(255), weights='matlab',
                             round_to_8bit=True)
    np.testing.assert_allclose(255 * got[..., 0], expected, atol=1e-3)


@pytest.mark.parametrize('convert', [
    colour.rgb_to_lab, colour.rgb_to_hsv, colour.rgb_to_ycbcr, colour.lab_to_rgb,
    colour.hsv_to_rgb, colour.srgb_to_linear, colour.linear_to_srgb,
])
@pytest.mark.parametrize('value', [0.0, 0.04045, 0.5, 1.0])
def test_two_derivatives_are_finite_on_greys(convert, value):
    pixel = jnp.full((1, 1, 3), value)
    first = jax.jit(jax.jacobian(convert))(pixel)
    second = jax.jit(jax.jacobian(jax.jacobian(convert)))(pixel)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()


@pytest.mark.parametrize(('call', 'message'), [
    (lambda x: colour.rgb_to_lab(x, white_point='D56'), "white_point: .* did you mean 'D"),
    (lambda x: colour.rgb_to_grey(x, weights='matlb'), "weights: .* did you mean 'matlab'"),
    (lambda x: colour.rgb_to_hsv(x[..., :2]), 'image: expected 3 channels'),
])
def test_bad_input_is_named(image, call, message):
    with pytest.raises(InputError, match=message):
        call(image)

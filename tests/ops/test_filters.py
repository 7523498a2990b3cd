"""Filters against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, signal

from vision_jax.core.errors import InputError
from vision_jax.ops import filters

pytestmark = pytest.mark.usefixtures('strict_dtypes')
SCIPY_MODES = {'reflect': 'mirror', 'symmetric': 'reflect', 'edge': 'nearest', 'zero': 'constant',
               'wrap': 'wrap'}


@pytest.fixture
def image():
    return np.random.default_rng(0).random((2, 12, 15, 3), np.float32)


@pytest.mark.parametrize('padding', SCIPY_MODES)
@pytest.mark.parametrize('shape', [(3, 3), (5, 3), (1, 7)])
def test_filter_equals_scipy_for_every_padding(image, padding, shape):
    kernel = np.random.default_rng(1).normal(size=shape)
    expected = ndimage.correlate(image, kernel[None, :, :, None], mode=SCIPY_MODES[padding])
    np.testing.assert_allclose(
        filters.filter_image(image, kernel, padding=padding), expected, atol=1e-5)


def test_valid_filter_equals_scipy(image):
    kernel = np.random.default_rng(2).normal(size=(4, 3))
    expected = signal.correlate2d(image[0, ..., 1], kernel, mode='valid')
    got = filters.filter_image(image, kernel, padding='valid')
    assert got.shape == (2, 9, 13, 3)
    np.testing.assert_allclose(got[0, ..., 1], expected, atol=1e-5)


@pytest.mark.parametrize(('down', 'across'), [(5, 11), (11, 6), (40, 7), (31, 100)])
@pytest.mark.parametrize('channels', [1, 3])
def test_long_taps_equal_scipy(down, across, channels):
    generator = np.random.default_rng(4)
    image = generator.random((2, 131, 190, channels), np.float32)
    rows, columns = generator.random(down), generator.random(across)
    expected = ndimage.correlate1d(np.float64(image), rows, axis=1, mode='reflect',
                                   origin=-((down + 1) % 2))
    expected = ndimage.correlate1d(expected, columns, axis=2, mode='reflect',
                                   origin=-((across + 1) % 2))
    got = filters.filter_separable(image, rows, columns, padding='symmetric')
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_even_kernel_is_centred_as_conv2_same(image):
    kernel = np.full((4, 2), 1 / 8)
    # MATLAB: conv2(x, k, 'same') is the full one from index ceil((size(k) + 1) / 2)
    expected = signal.convolve2d(image[0, ..., 0], kernel)[2:14, 1:16]
    got = filters.filter_image(image, kernel, padding='zero')[0, ..., 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_traced_kernel_equals_static(image):
    kernel = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    traced = jax.jit(filters.filter_image)(image, jnp.asarray(kernel))
    np.testing.assert_allclose(traced, filters.filter_image(image, kernel), atol=1e-6)


@pytest.mark.parametrize('sigma', [0.7, (1.5, 0.5)])
def test_gaussian_blur_equals_scipy(image, sigma):
    down, across = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    expected = ndimage.gaussian_filter(image, (0, down, across, 0))
    np.testing.assert_allclose(filters.gaussian_blur(image, sigma), expected, atol=1e-6)


def test_gaussian_of_a_traced_sigma(image):
    blur = jax.jit(lambda x, sigma: filters.gaussian_blur(x, sigma, size=9))
    expected = filters.gaussian_blur(image, 1.2, size=9)
    np.testing.assert_allclose(blur(image, jnp.float32(1.2)), expected, atol=1e-6)


@pytest.mark.parametrize('size', [2, 3])
def test_box_blur_equals_conv2(image, size):
    full = signal.convolve2d(image[1, ..., 2], np.full((size, size), size ** -2.0))
    start = size // 2
    expected = full[start:start + 12, start:start + 15]
    np.testing.assert_allclose(
        filters.box_blur(image, size)[1, ..., 2], expected, atol=1e-6)


@pytest.mark.parametrize(('kernel', 'scipy_filter', 'scale'), [
    ('sobel', ndimage.sobel, 4), ('prewitt', ndimage.prewitt, 3)])
def test_gradients_equal_scipy(image, kernel, scipy_filter, scale):
    across, down = filters.image_gradients(image, kernel=kernel, padding='symmetric')
    plane = image[1, ..., 2]
    np.testing.assert_allclose(across[1, ..., 2], scipy_filter(plane, axis=1) / scale, atol=1e-6)
    np.testing.assert_allclose(down[1, ..., 2], scipy_filter(plane, axis=0) / scale, atol=1e-6)


@pytest.mark.parametrize('kernel', filters.GRADIENT_KERNELS)
def test_gradient_of_a_ramp_is_twice_its_slope(kernel):
    ramp = np.broadcast_to(0.1 * np.arange(6, dtype=np.float32)[:, None, None], (6, 5, 1))
    magnitude = filters.gradient_magnitude(ramp, kernel=kernel, padding='edge')
    np.testing.assert_allclose(magnitude[1:-1], 0.2, atol=1e-6)


def test_derivatives_of_the_magnitude_are_finite_on_a_flat_image():
    def energy(x):
        return filters.gradient_magnitude(x).sum()
    flat = jnp.full((5, 5, 1), 0.5)
    assert np.isfinite(jax.jit(jax.grad(energy))(flat)).all()
    assert np.isfinite(jax.jit(jax.hessian(energy))(flat)).all()


@pytest.mark.parametrize(('call', 'message'), [
    (lambda x: filters.gaussian_blur(x, 1.0, padding='mirror'), 'padding: unknown name'),
    (lambda x: filters.filter_image(x, np.ones((20, 3)), padding='valid'), '20x3 kernel'),
    (lambda x: filters.filter_image(x, np.ones(3)), 'kernel: expected 2 axes'),
    (lambda x: filters.filter_separable(x, np.ones((3, 1)), np.ones(3)), 'row_taps: expected 1'),
    (lambda x: filters.gradient_magnitude(x, kernel='schar'), "did you mean 'scharr'"),
    (lambda x: filters.box_blur(x[0, :, :, 0], 3), r'expected \[..., height'),
])
def test_bad_input_is_named(image, call, message):
    with pytest.raises(InputError, match=message):
        call(image)

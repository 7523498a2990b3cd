"""Resizing against slow NumPy, SciPy, Pillow and stored figures of torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vision_jax.core.errors import InputError
from vision_jax.ops.downsample import downsample_factor, mean_downsample
from vision_jax.ops.resize import resize, resize_matrix

pytestmark = pytest.mark.usefixtures('strict_dtypes')


# torch 2.13.0: F.interpolate((torch.arange(6.) ** 2)[None, None, None], (1, 9), mode='bicubic',
# align_corners=...)
TORCH_BICUBIC = {
    False: [-0.0868056, 0.21875, 1.4305550, 3.1527777, 6.125, 10.2824059, 14.3009281, 21.15625,
            25.7812481],
    True: [0.0, 0.3100586, 1.609375, 3.3378906, 6.125, 9.9980469, 13.640625, 20.0122070, 25.0],
}


def _imresize_row(signal, new, kernel, width):
    """MATLAB's imresize of one row, pixel by pixel, from its documentation."""
    old = len(signal)
    scale = new / old
    out = np.zeros(new)
    for i in range(new):
        centre = (i + 1) / scale + 0.5 * (1 - 1 / scale)
        reach = width / 2 / min(scale, 1)
        total = 0.0
        for j in range(int(np.floor(centre - reach)) - 1, int(np.ceil(centre + reach)) + 2):
            weight = kernel(min(scale, 1) * (centre - j))
            mirrored = (j - 1) % (2 * old)
            out[i] += weight * signal[mirrored if mirrored < old else 2 * old - 1 - mirrored]
            total += weight
        out[i] /= total
    return out


def _triangle(x):
    return max(0.0, 1 - abs(x))


def _keys(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x ** 3 - 2.5 * x ** 2 + 1
    return -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 if x <= 2 else 0.0


@pytest.mark.parametrize('new', [3, 7, 11, 12, 13, 30])
@pytest.mark.parametrize(('name', 'kernel', 'width'), [
    ('bilinear', _triangle, 2), ('bicubic', _keys, 4)])
def test_matlab_rule_equals_a_slow_imresize(new, name, kernel, width):
    row = np.random.default_rng(0).random(12)
    got = resize_matrix(12, new, kernel=name) @ row
    np.testing.assert_allclose(got, _imresize_row(row, new, kernel, width), atol=1e-12)


@pytest.mark.parametrize('size', [(6, 9), (20, 31)])
def test_antialiased_bilinear_equals_pillow_inside(size):
    plane = np.random.default_rng(1).random((18, 27)).astype(np.float32)
    expected = np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
    got = resize(plane[..., None], size)[..., 0]
    # Pillow renormalises at the border where MATLAB mirrors
    np.testing.assert_allclose(got[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-5)


def test_torch_bilinear_equals_scipy_sampling():
    plane = np.random.default_rng(2).random((18, 27)).astype(np.float32)
    rows, columns = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in ((7, 18), (40, 27)))
    grid = np.meshgrid(rows, columns, indexing='ij')
    expected = ndimage.map_coordinates(plane, grid, order=1, mode='nearest')
    got = resize(plane[..., None], (7, 40), convention='torch')[..., 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_torch_aligned_corners_equal_scipy_sampling():
    plane = np.random.default_rng(3).random((5, 6)).astype(np.float32)
    grid = np.meshgrid(np.linspace(0, 4, 9), np.linspace(0, 5, 4), indexing='ij')
    expected = ndimage.map_coordinates(plane, grid, order=1)
    got = resize(plane[..., None], (9, 4), convention='torch', align_corners=True)[..., 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize('align_corners', [False, True])
def test_torch_bicubic_equals_torch(align_corners):
    row = np.arange(6, dtype=np.float32)[None, :, None] ** 2
    got = resize(row, (1, 9), kernel='bicubic', convention='torch', align_corners=align_corners)
    np.testing.assert_allclose(got[0, :, 0], TORCH_BICUBIC[align_corners], atol=2e-5)


def test_nearest_repeats_pixels():
    image = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    np.testing.assert_array_equal(
        resize(image, (4, 6), kernel='nearest')[..., 0], np.kron(image[..., 0], np.ones((2, 3))))


def test_resizing_keeps_a_constant_and_its_own_size():
    image = jnp.full((2, 9, 11, 3), 0.25)
    for kernel in ('nearest', 'bilinear', 'bicubic'):
        np.testing.assert_allclose(resize(image, (23, 4), kernel=kernel), 0.25, atol=1e-6)
        np.testing.assert_array_equal(resize(image, (9, 11), kernel=kernel), image)


def test_gradient_is_the_transpose():
    image = jnp.asarray(np.random.default_rng(4).random((6, 5, 1), np.float32))
    gradient = jax.grad(lambda x: resize(x, (9, 3)).sum())(image)
    expected = np.outer(resize_matrix(6, 9).sum(0), resize_matrix(5, 3).sum(0))
    np.testing.assert_allclose(gradient[..., 0], expected, atol=1e-5)


@pytest.mark.parametrize(('side', 'factor', 'pooled'), [
    (96, 1, 1), (383, 1, 1), (384, 2, 2), (512, 2, 2), (640, 3, 2), (1152, 5, 4)])
def test_factor_rounds_halves_up_or_to_even(side, factor, pooled):
    assert downsample_factor(side, side + 50) == factor
    assert downsample_factor(side + 50, side, rule='pool') == pooled


@pytest.mark.parametrize('factor', [1, 2, 3, 4, 5])
@pytest.mark.parametrize('size', [(12, 13), (10, 11)])
def test_matlab_downsampling_equals_a_slow_one(factor, size):
    plane = np.random.default_rng(5).random(size).astype(np.float32)
    start = int(np.ceil((factor + 1) / 2)) - 1  # conv2(..., 'same')
    padded = np.pad(plane, factor - 1).astype(np.float64)
    full = np.array([[padded[i:i + factor, j:j + factor].mean()
                      for j in range(size[1] + factor - 1)] for i in range(size[0] + factor - 1)])
    expected = full[start:start + size[0], start:start + size[1]][::factor, ::factor]
    got = mean_downsample(plane[..., None], factor)[..., 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize('factor', [2, 3, 4])
def test_imfilter_downsampling_equals_scipy(factor):
    plane = np.random.default_rng(7).random((11, 13))
    # imfilter's centre is floor((F + 1) / 2), counted from 1; SciPy's is F // 2
    kernel = np.full((factor, factor), factor ** -2.0)
    mean = ndimage.correlate(plane, kernel, mode='reflect', origin=(factor % 2 - 1,) * 2)
    got = mean_downsample(np.float32(plane[..., None]), factor, rule='imfilter')[..., 0]
    np.testing.assert_allclose(got, mean[::factor, ::factor], atol=1e-6)


@pytest.mark.parametrize('factor', [2, 3])
def test_pooling_equals_a_slow_one(factor):
    plane = np.random.default_rng(6).random((11, 13)).astype(np.float32)
    padded = np.pad(plane, (factor // 2, (factor - 1) // 2), mode='edge')
    rows, columns = (side // factor for side in padded.shape)
    expected = padded[:rows * factor, :columns * factor].reshape(
        rows, factor, columns, factor).mean((1, 3))
    got = mean_downsample(plane[..., None], factor, rule='pool')[..., 0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(('call', 'message'), [
    (lambda x: resize(x, (4, 4), kernel='bilinar'), "kernel: .* did you mean 'bilinear'"),
    (lambda x: resize(x, (4, 4), convention='pil'), 'convention: unknown name'),
    (lambda x: resize(x, (0, 4)), 'size: expected at least 1 pixel'),
    (lambda x: resize(x[..., 0], (4, 4)), r'image: expected \[..., height'),
    (lambda x: mean_downsample(x, 0), 'factor: expected at least 1'),
    (lambda x: mean_downsample(x, 2, rule='torch'), 'rule: unknown name'),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(np.zeros((5, 5, 1), np.float32))


def test_a_given_scale_keeps_to_that_scale_where_the_size_is_rounded_up():
    # 452 pixels are reduced by 4 either way; of 451, only the last pixels are near the border
    whole = resize_matrix(452, 113, kernel='bicubic')
    ragged = resize_matrix(451, 113, kernel='bicubic', scale=0.25)
    np.testing.assert_allclose(ragged[:110], whole[:110, :451], atol=1e-15)
    assert np.abs(resize_matrix(451, 113, kernel='bicubic') - ragged)[:110].max() > 0.01

"""Each distortion against SciPy, scikit-image, Pillow, a slow loop or a closed form."""

import io
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage
from PIL import Image
from skimage import color

from vision_jax.core.errors import InputError
from vision_jax.data import distortions as d
from vision_jax.data.photographs import load_photograph

KEY = jax.random.key(3)


@pytest.fixture(scope='module')
def pale(tile) -> np.ndarray:
    """The tile with colours that stay within sRGB: skimage changes those outside."""
    return 0.5 + 0.2 * (tile - 0.5)


def psnr(a, b) -> float:
    return -10 * math.log10(np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


def each_channel(function, image):
    return np.stack([function(image[..., i]) for i in range(3)], axis=-1)


# Blur

@pytest.mark.parametrize('sigma', [0.5, 2.0])
def test_gaussian_blur_is_scipys(tile, sigma):
    expected = each_channel(
        lambda x: scipy.ndimage.gaussian_filter(
            x, sigma, mode='nearest', radius=math.ceil(2 * sigma)), tile)
    np.testing.assert_allclose(d.gaussian_blur(tile, sigma=sigma), expected, atol=1e-6)


@pytest.mark.parametrize('radius', [1, 2, 6])
def test_disk_kernel_is_the_covered_area(radius):
    reach, fine = math.ceil(radius - 0.5), 500
    grid = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = grid[:, None] ** 2 + grid[None, :] ** 2 <= radius ** 2
    area = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean(axis=(1, 3))
    np.testing.assert_allclose(d.disk_kernel(radius), area / area.sum(), atol=2e-4)


def test_disk_kernel_of_radius_1_has_a_centre_of_one_over_pi():
    np.testing.assert_allclose(d.disk_kernel(1)[1, 1], 1 / np.pi, atol=1e-5)


def test_lens_blur_is_a_correlation_with_the_disk(tile):
    expected = each_channel(
        lambda x: scipy.ndimage.correlate(x, d.disk_kernel(4), mode='nearest'), tile)
    np.testing.assert_allclose(d.lens_blur(tile, radius=4), expected, atol=1e-6)


def test_motion_kernel_along_an_axis():
    np.testing.assert_allclose(d.motion_kernel(0.0, length=9)[4], np.full(9, 1 / 9), atol=1e-6)
    upright = d.motion_kernel(np.pi / 2, length=4)
    np.testing.assert_allclose(upright[:, 2], np.array([0.5, 1, 1, 1, 0.5]) / 4, atol=1e-6)


@pytest.mark.parametrize('degrees', [20.0, 45.0, 110.0, 160.0])
def test_motion_kernel_falls_with_the_distance_from_the_line(degrees):
    angle, length = math.radians(degrees), 10
    half = (length - 1) / 2
    kernel = np.asarray(d.motion_kernel(angle, length=length))
    expected = np.zeros_like(kernel)
    reach = kernel.shape[0] // 2
    for y, x in itertools.product(range(-reach, reach + 1), repeat=2):
        along = x * math.cos(angle) + y * math.sin(angle)
        across = abs(y * math.cos(angle) - x * math.sin(angle))
        if math.hypot(x, y) >= half:
            across = math.hypot(across, half - abs(along))
        expected[reach - y, reach + x] = max(1 - across, 0)
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-6)


def test_motion_blur_draws_an_angle_for_each_image(tile):
    first, second = d.motion_blur(KEY, np.stack([tile, tile]), length=10)
    assert np.abs(first - second).max() > 0.01


# Colour

def test_lab_saturation_is_that_of_skimage(pale):
    lab = color.rgb2lab(pale) * [1, 3, 3]
    expected = np.clip(color.lab2rgb(lab), 0, 1)
    np.testing.assert_allclose(d.lab_saturation(pale, factor=3), expected, atol=2e-3)


def test_hsv_saturation_is_that_of_skimage(tile):
    expected = color.hsv2rgb(color.rgb2hsv(tile) * [1, 0.4, 1])
    np.testing.assert_allclose(d.hsv_saturation(tile, factor=0.4), expected, atol=1e-5)


def test_hsv_saturation_below_zero_turns_to_the_complementary_hue():
    orange = np.full((4, 4, 3), [0.6, 0.4, 0.2], np.float32)  # value 0.6, saturation 2/3
    turned = d.hsv_saturation(orange, factor=-0.4)
    expected = 0.6 * (1 + 0.4 * (2 / 3) * np.array([0, 0.5, 1]))
    np.testing.assert_allclose(turned[0, 0], expected, atol=1e-5)


def test_colour_diffusion_blurs_a_and_b_alone(pale):
    lab, sigma = color.rgb2lab(pale), 1.5 * 3 + 2
    for channel in (1, 2):
        lab[..., channel] = 3 * scipy.ndimage.gaussian_filter(
            lab[..., channel], sigma, mode='nearest', radius=math.ceil(2 * sigma))
    expected = np.clip(color.lab2rgb(lab), 0, 1)
    np.testing.assert_allclose(d.colour_diffusion(pale, amount=3), expected, atol=2e-3)


def test_colour_shift_moves_green_where_there_are_edges(tile):
    shifted = np.asarray(d.colour_shift(KEY, tile, pixels=6))
    np.testing.assert_array_equal(shifted[..., [0, 2]], tile[..., [0, 2]])
    change = np.abs(shifted[..., 1] - tile[..., 1])
    assert change.max() > 0.05
    flat = np.full((32, 32, 3), 0.5, np.float32)
    np.testing.assert_allclose(d.colour_shift(KEY, flat, pixels=6), flat, atol=1e-6)


def test_colour_shift_is_a_blend_of_a_whole_shift():
    """The mask of a ramp is constant but for rounding: the result lies between the two ends."""
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(24, 30, 3)).astype(np.float32)
    shifted = np.asarray(d.colour_shift(KEY, image, pixels=3))[..., 1]
    green = image[..., 1]
    fits = []
    for down, right in itertools.product(range(4), repeat=2):
        moved = np.pad(green, ((down, 0), (right, 0)), mode='edge')[:24, :30]
        low, high = np.minimum(green, moved), np.maximum(green, moved)
        fits.append(((shifted >= low - 1e-5) & (shifted <= high + 1e-5)).all())
    assert sum(fits) == 1


# Compression

@pytest.mark.parametrize('quality', [4, 24, 43, 50, 75, 95])
@pytest.mark.parametrize('name', ['coffee', 'chelsea'])
def test_jpeg_decodes_as_pillow(name, quality):
    pixels = load_photograph(name)[:147, 30:203]  # neither side a multiple of 16
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'JPEG', quality=quality, subsampling='4:2:0')
    expected = np.asarray(Image.open(stream)) / 255
    ours = d.jpeg((pixels / 255).astype(np.float32), quality=quality)
    assert psnr(ours, expected) > 45
    assert psnr(ours, expected) > psnr(pixels / 255, expected) + 8


@pytest.mark.parametrize('quality', [1, 10, 49, 50, 51, 90, 100])
def test_quality_tables_are_those_that_pillow_writes(quality):
    stream = io.BytesIO()
    Image.new('RGB', (16, 16)).save(stream, 'JPEG', quality=quality)
    tables = Image.open(stream).quantization
    luma = d.quality_table(d.LUMA_TABLE, quality)
    chroma = d.quality_table(d.CHROMA_TABLE, quality)
    np.testing.assert_array_equal(np.ravel(luma), tables[0])
    np.testing.assert_array_equal(np.ravel(chroma), tables[1])


def test_jpeg2000_loses_more_at_a_greater_ratio():
    photo = (load_photograph('coffee')[:256, :256] / 255).astype(np.float32)
    losses = [psnr(d.jpeg2000(photo, ratio=ratio), photo) for ratio in (16, 45, 400)]
    assert losses[0] > losses[1] + 2 > losses[2] + 4


# Noise

def grey(side: int = 128, value: float = 0.5) -> np.ndarray:
    return np.full((2, side, side, 3), value, np.float32)


def test_white_noise_has_its_variance():
    noise = np.asarray(d.white_noise(KEY, grey(), variance=0.005)) - 0.5
    np.testing.assert_allclose(noise.var(), 0.005, rtol=0.03)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


def test_colour_component_noise_has_its_variance_in_ycbcr():
    noisy = np.asarray(d.colour_component_noise(KEY, grey(), variance=0.001))
    ycbcr = color.rgb2ycbcr(noisy) / 255
    np.testing.assert_allclose(ycbcr.var(axis=(0, 1, 2)), 0.001, rtol=0.05)


def test_impulse_noise_has_its_density():
    noisy = np.asarray(d.impulse_noise(KEY, grey(), density=0.02))
    assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
    np.testing.assert_allclose([(noisy == 0).mean(), (noisy == 1).mean()], 0.01, rtol=0.15)


def test_multiplicative_noise_is_uniform_and_grows_with_the_value():
    noise = np.asarray(d.multiplicative_noise(KEY, grey(value=0.4), variance=0.01)) / 0.4 - 1
    np.testing.assert_allclose(noise.var(), 0.01, rtol=0.02)
    np.testing.assert_allclose(np.abs(noise).max(), math.sqrt(0.03), rtol=0.01)


def test_denoising_removes_most_of_the_noise():
    key, variance = KEY, 0.01
    photo = load_photograph('astronaut')[:128, 150:278] / np.float32(255)
    noisy = d.white_noise(key, photo, variance=variance)
    denoised = d.denoising(key, photo, variance=variance)
    assert psnr(denoised, photo) > psnr(noisy, photo) + 5


def test_dct_denoise_keeps_all_without_noise_and_means_with_much(tile):
    np.testing.assert_allclose(d.dct_denoise(tile, sigma=0.0), tile, atol=1e-5)
    padded = d.dct_denoise(grey(16), sigma=10.0)
    np.testing.assert_allclose(padded, grey(16), atol=1e-5)


# Tone

@pytest.mark.parametrize('amount', [0.1, 0.7, 1.1])
def test_brighten_and_darken_follow_a_parabola(tile, amount):
    def curve(x, middle):
        return np.clip(np.polyval(np.polyfit([0, 0.5, 1], [0, middle, 1], 2), x), 0, 1)

    lab = color.rgb2lab(tile)
    lab[..., 0] = 100 * curve(lab[..., 0] / 100, 0.5 + amount / 2)
    by_lab = np.clip(color.lab2rgb(lab), 0, 1)
    expected = (2 * curve(tile, 0.5 + amount / 2) + by_lab) / 3
    np.testing.assert_allclose(d.brighten(tile, amount=amount), expected, atol=2e-3)
    np.testing.assert_allclose(
        d.darken(tile, amount=amount), curve(tile, 0.5 - amount / 2), atol=1e-5)


def test_mean_shift_adds_and_clips(tile):
    np.testing.assert_allclose(d.mean_shift(tile, amount=0.15), np.minimum(tile + 0.15, 1),
                               atol=1e-6)
    np.testing.assert_allclose(d.mean_shift(tile, amount=-0.15), np.maximum(tile - 0.15, 0),
                               atol=1e-6)


@pytest.mark.parametrize('amount', [0.3, 0.0, -0.6])
def test_contrast_change_is_scipys_spline(tile, amount):
    spline = scipy.interpolate.CubicSpline(
        [0, 0.3, 0.5, 0.7, 1], [0, 0.25 - amount / 4, 0.5, 0.75 + amount / 4, 1])
    np.testing.assert_allclose(d.contrast_change(tile, amount=amount),
                               np.clip(spline(tile), 0, 1), atol=1e-5)


def test_contrast_is_kept_at_minus_a_fifth_and_not_at_zero(tile):
    np.testing.assert_allclose(d.contrast_change(tile, amount=-0.2), tile, atol=1e-5)
    assert np.abs(d.contrast_change(tile, amount=0.0) - tile).max() > 0.04


def test_sharpening_is_unsharp_masking_of_lightness(pale):
    lab = color.rgb2lab(pale)
    blurred = scipy.ndimage.gaussian_filter(lab[..., 0], 3, mode='nearest', radius=6)
    lab[..., 0] += 2 * (lab[..., 0] - blurred)
    expected = np.clip(color.lab2rgb(lab), 0, 1)
    np.testing.assert_allclose(d.sharpening(pale, amount=2), expected, atol=3e-3)


# Places

def test_warp_by_whole_pixels_is_a_shift(tile):
    shifts = jnp.broadcast_to(jnp.array([2.0, -1.0])[:, None, None], (2, *tile.shape[:2]))
    expected = np.pad(tile, ((2, 0), (0, 1), (0, 0)), mode='edge')[:-2, 1:]
    np.testing.assert_allclose(d.warp(tile, shifts), expected, atol=1e-6)


def test_warp_is_exact_on_a_quadratic():
    """Keys' cubic convolution with a = -1/2 reproduces polynomials of degree 2."""
    y, x = np.mgrid[:20, :24].astype(np.float32) / 24
    surface = (0.3 * y ** 2 - 0.5 * x * y + 0.2 * x ** 2 + 0.1 * x)[..., None]
    shifts = np.stack([np.full((20, 24), 0.3), np.full((20, 24), -0.6)]).astype(np.float32)
    v, u = y - 0.3 / 24, x + 0.6 / 24
    expected = 0.3 * v ** 2 - 0.5 * u * v + 0.2 * u ** 2 + 0.1 * u
    np.testing.assert_allclose(d.warp(surface, shifts)[3:-3, 3:-3, 0], expected[3:-3, 3:-3],
                               atol=1e-5)


def test_jitter_without_displacement_is_the_identity(tile):
    np.testing.assert_allclose(d.jitter(KEY, tile, amount=0.0), tile, atol=1e-6)


def nearest_indices(old: int, new: int) -> list[set[int]]:
    """The pixels nearest to each new pixel's centre: two where it lies between them."""
    indices = []
    for i in range(new):
        index, rest = divmod((2 * i + 1) * old, 2 * new)
        indices.append({index} if rest else {index - 1, index})
    return indices


@pytest.mark.parametrize('strength', [0.01, 0.1, 0.5])
def test_pixelation_shows_the_nearest_pixel_of_the_nearest(strength):
    sides = (96, 75)
    y, x = np.mgrid[:sides[0], :sides[1]].astype(np.float32)
    out = np.asarray(d.pixelation(np.stack([y / 96, x / 75, 0 * x], axis=-1), strength=strength))
    rows = np.round(out[:, 0, 0] * 96).astype(int)
    columns = np.round(out[0, :, 1] * 75).astype(int)
    for side, shown in zip(sides, (rows, columns), strict=True):
        small = math.ceil(side * (0.95 - strength ** 0.6))
        down, up = nearest_indices(side, small), nearest_indices(small, side)
        for i in range(side):
            assert shown[i] in set().union(*(down[j] for j in up[i]))
        assert len(set(shown)) <= small


def test_patches_are_copied_from_nearby():
    """Every pixel of an image of distinct values tells where it came from."""
    side = 80
    y, x = np.mgrid[:side, :side] / np.float32(side)
    image = np.stack([y, x, np.zeros_like(x)], axis=-1)
    moved = np.asarray(d.non_eccentricity_patches(KEY, image, patches=1))
    travel = np.round((moved - image)[..., :2] * side)
    changed = (travel != 0).any(axis=-1)
    assert 0 < changed.sum() <= 16 ** 2
    assert np.abs(travel).max() <= 8
    assert len(np.unique(travel[changed], axis=0)) == 1


def test_colour_blocks_cover_squares(tile):
    covered = np.asarray(d.colour_blocks(KEY, tile, blocks=1, side=20))
    changed = (covered != tile).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (np.ptp(rows), np.ptp(columns), changed.sum()) == (19, 19, 400)
    assert len(np.unique(covered[changed], axis=0)) == 1


# The table

def test_table_numbers_the_types_of_kadid():
    assert [row.number for row in d.DISTORTIONS] == list(range(1, 26))
    assert all(len(row.levels) == d.LEVELS for row in d.DISTORTIONS)
    assert [row.number for row in d.DISTORTIONS if not row.ranked] == [5, 7, 18, 25]


@pytest.mark.parametrize('row', d.DISTORTIONS, ids=lambda row: row.name)
def test_batches_range_and_identities(tile, row):
    """Level 1 and 5 of a batch: in range, anew for each image if random, else as one image."""
    batch = np.stack([tile, tile])
    for level in (1, 5):
        out = np.asarray(d.distort(KEY, batch, number=row.number, level=level))
        assert out.shape == batch.shape
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1
        unchanged = (np.round(255 * out) == np.round(255 * batch)).all()
        assert unchanged == (level in row.identity)
    assert np.allclose(out[0], out[1], atol=1e-6) != row.random


@pytest.mark.parametrize('row', [row for row in d.DISTORTIONS if row.traced],
                         ids=lambda row: row.name)
def test_a_traced_level_gives_the_same(tile, row):
    def at(value):
        return d.apply(KEY, tile, value, row=row)

    value = row.levels[1]
    differs = np.abs(jax.jit(at)(value) - at(value)) > 2e-5
    assert differs.mean() < 0.05  # a DCT coefficient between two steps may round either way


def test_unknown_names_and_levels():
    image = np.zeros((64, 64, 3), np.float32)
    with pytest.raises(InputError, match="did you mean 'gaussian_blur'"):
        d.distort(KEY, image, name='gausian_blur', level=1)
    with pytest.raises(InputError, match='level: expected 1 to 5, got 6'):
        d.distort(KEY, image, number=1, level=6)
    with pytest.raises(InputError, match='number: expected 1 to 25, got 26'):
        d.distort(KEY, image, number=26, level=1)
    with pytest.raises(InputError, match='either its name or its number'):
        d.distort(KEY, image, level=1)
    with pytest.raises(InputError, match='image: expected floats'):
        d.jpeg(image.astype(np.uint8), quality=10)
    with pytest.raises(InputError, match='strength: expected'):
        d.pixelation(image, strength=1.0)

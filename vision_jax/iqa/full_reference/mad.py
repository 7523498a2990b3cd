"""MAD: most apparent distortion, what is detected near threshold and how much is seen above it."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.ops.block_moments import block_moments
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import safe_sqrt

BLOCK, STRIDE = 16, 4  # pixels; a block is written to the STRIDE x STRIDE pixels at its corner
MIN_SIDE = 2 * BLOCK + 2  # BLOCK rows and columns are left out on one side, one more on the other
# Larson 2010, section 3.1: lightness (the cube root of luminance), contrast sensitivity, masking.
LIGHTNESS_GAIN, LIGHTNESS_POWER = 0.02874, 2.2 / 3
CYCLES_PER_WIDTH = 64  # over the width in pixels: 32 cycles per degree are the highest of a row
LEAST_LIGHTNESS, LEAST_CONTRAST = 0.5, math.exp(-5)
DETECTION_GAIN = 200
# Section 3.2: log-Gabor filters of five scales and four orientations.
WAVELENGTHS, ORIENTATIONS = (3, 9, 27, 81, 243), 4
LOG_BANDWIDTH, ANGLE_SIGMA = math.log(0.55), math.pi / ORIENTATIONS / 1.5
SCALE_WEIGHTS = np.array([0.5, 0.75, 1, 5, 6]) / 13.25
# Section 3.3: how the two are blended.
BLEND_GAIN, BLEND_POWER = math.exp(-2.55 / 3.35), 1 / (math.log(10) * 3.35)
# Steps of rounding of white under which the deviation of a filter's response is noise.
NOISE_STEPS = 4


def mad(reference, distorted, *, colour: str = 'matlab', data_range: float = 1.0):
    """MAD of pairs of images; 0 for equal ones, and lower is better.

    `MAD = D^a A^(1 - a)`, `a = 1 / (1 + 0.467 D^0.130)`. D, of distortions that are hard to see, is
    200 times the root mean square of the local squared error times the log of how far its contrast
    is over the threshold that the reference masks. A, of those that are plain, is that of the
    differences in deviation, skewness (twice) and kurtosis of log-Gabor responses, coarse scales
    weighing the most; all of blocks of 16 by 16 pixels every 4 pixels.

    Args:
        reference: `*b h w c`, floats in [0, data_range], at least 34 by 34.
        distorted: The same shape.
        colour: How a colour image becomes grey, see `ops.colour.to_grey`.
        data_range: The value of white.

    Returns:
        Scores `*b`, at least 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown `colour`.

    Source:
        Larson, Chandler: Most apparent distortion: full-reference image quality assessment and the
        role of strategy, J. Electronic Imaging 19(1), 011006, 2010; MAD_index.m of September 2011.

    Notes:
        The authors' table of lightness for 8-bit images gives white that of 254; here, as for their
        float images, it has its own. Where a response deviates within a block by no more than
        rounding errors, skewness and kurtosis are 0, not those of the errors.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    grey = [255 * to_grey(image, rule=colour)[..., 0] for image in pair]  # [*b, h, w]
    detected, apparent = _detection(*grey), _appearance(*grey)
    both = (detected > 0) & (apparent > 0)
    detected, apparent = (jnp.log(jnp.where(both, x, 1.0)) for x in (detected, apparent))
    blend = 1 / (1 + BLEND_GAIN * jnp.exp(BLEND_POWER * detected))
    return jnp.where(both, jnp.exp(blend * detected + (1 - blend) * apparent), 0.0)


def _detection(reference, distorted):
    """D, `*b`."""
    lightness = _lightness(reference)
    change = _contrast_filter(_lightness(distorted) - lightness)
    lightness = _contrast_filter(lightness)
    change = block_moments(change, size=BLOCK, stride=STRIDE, order=2)
    mean = block_moments(lightness, size=BLOCK, stride=STRIDE, order=2).mean
    half = BLOCK // 2  # cropped by as much, there are as many half blocks as blocks
    fine = block_moments(lightness[..., :-half, :-half], size=half, stride=STRIDE, order=2)
    masking = _least_neighbour(_deviation(fine, half), reference.shape[-2:])
    bright = mean >= LEAST_LIGHTNESS
    mean = jnp.where(bright, mean, 1.0)
    contrast = _deviation(change, BLOCK) / mean
    threshold = jnp.maximum(masking / mean, LEAST_CONTRAST)
    visible = bright & (contrast > threshold)
    excess = jnp.log(jnp.where(visible, contrast / threshold, 1.0))
    error = _box_mean(jnp.square(reference - distorted))
    for axis in (-2, -1):  # from blocks to the pixels inside the margin
        excess = jnp.repeat(excess, STRIDE, axis=axis)
    excess = excess[..., BLOCK:BLOCK + error.shape[-2], BLOCK:BLOCK + error.shape[-1]]
    return DETECTION_GAIN * safe_sqrt(jnp.square(excess * error).mean((-2, -1)))


def _lightness(grey):
    positive = grey > 0
    power = jnp.exp(LIGHTNESS_POWER * jnp.log(jnp.where(positive, grey, 1.0)))
    return jnp.where(positive, LIGHTNESS_GAIN * power, 0.0)


def _contrast_filter(plane):
    shape = plane.shape[-2:]
    spectrum = jnp.fft.rfft2(plane) * _constant(_contrast_sensitivity(*shape), plane)
    return jnp.fft.irfft2(spectrum, s=shape)


def _deviation(moments, size: int):
    return safe_sqrt(moments.sums[0] / (size * size - 1))


def _least_neighbour(deviation, shape):
    """The least of a block and those right of and below it, a stride away, as far as they go."""
    for axis in (-2, -1):
        count, side = deviation.shape[axis], shape[axis]
        following = jnp.take(deviation, np.minimum(np.arange(count) + 1, count - 1), axis=axis)
        # the authors look 5 pixels on, and so not at the last block of a side of whole strides
        near = np.arange(count) * STRIDE + STRIDE + 1 <= side - BLOCK
        near = near[:, None] if axis == -2 else near[None, :]
        near = near.reshape((1,) * (deviation.ndim - 2) + near.shape)
        deviation = jnp.where(near, jnp.minimum(deviation, following), deviation)
    return deviation


def _box_mean(plane):
    """The mean of the 16 by 16 pixels from 7 before to 8 after each that is inside the margin."""
    first = BLOCK - (BLOCK // 2 - 1)
    plane = plane[..., first:-first, first:-first]
    width = 1
    while width < BLOCK:
        plane = plane[..., width:, :] + plane[..., :-width, :]
        plane = plane[..., width:] + plane[..., :-width]
        width *= 2
    return plane / BLOCK ** 2


def _appearance(reference, distorted):
    """A, `*b`: one scan over the filters, of which only one is in memory."""
    pair = jnp.stack([reference, distorted])
    # the filters leave out the mean: without it float32 keeps more digits
    spectrum = jnp.fft.fft2(pair - pair.mean((-2, -1), keepdims=True))
    radial, angular = (jnp.asarray(x, pair.dtype) for x in _log_gabor(*pair.shape[-2:]))
    noise = (NOISE_STEPS * 255 * jnp.finfo(pair.dtype).eps) ** 2

    def add(total, indices):
        scale, orientation, weight = indices
        gabor = (radial[scale] * angular[orientation]).reshape((1,) * (pair.ndim - 2)
                                                               + pair.shape[-2:])
        response = jnp.fft.ifft2(spectrum * gabor)
        size = safe_sqrt(jnp.square(response.real) + jnp.square(response.imag))
        return total + weight * _difference(size, noise), None

    count = [(side - BLOCK) // STRIDE + 1 for side in pair.shape[-2:]]
    scales, orientations = np.indices((len(WAVELENGTHS), ORIENTATIONS)).reshape(2, -1)
    steps = scales, orientations, jnp.asarray(SCALE_WEIGHTS[scales], pair.dtype)
    total, _ = jax.lax.scan(add, jnp.zeros((*pair.shape[1:-2], *count), pair.dtype), steps)
    share = np.outer(*(_inside(side) for side in pair.shape[-2:]))
    return safe_sqrt((jnp.square(total) * _constant(share, total)).sum((-2, -1)))


def _difference(size, noise: float):
    """The difference of the statistics of the blocks of a pair, `2 *b h w` to `*b rows columns`."""
    second, third, fourth = block_moments(size, size=BLOCK, stride=STRIDE, order=4).sums
    pixels = BLOCK * BLOCK
    variance = second / pixels
    varied = variance > noise
    variance = jnp.where(varied, variance, 1.0)
    skewness = jnp.where(varied, third / (pixels * variance * jnp.sqrt(variance)), 0.0)
    kurtosis = jnp.where(varied, fourth / (pixels * variance * variance), 0.0)
    deviation = safe_sqrt(second / (pixels - 1))
    return sum(weight * jnp.abs(x[0] - x[1])
               for weight, x in ((1, deviation), (2, skewness), (1, kurtosis)))


def _inside(side: int) -> np.ndarray:
    """The share of each block in the mean over the pixels inside the margin."""
    pixel = np.arange(BLOCK, side - BLOCK - 1)
    return np.bincount(pixel // STRIDE, minlength=(side - BLOCK) // STRIDE + 1) / len(pixel)


def _constant(array: np.ndarray, like):
    """A static map as `like`'s dtype and rank."""
    return jnp.asarray(array, like.dtype).reshape((1,) * (like.ndim - array.ndim) + array.shape)


@functools.lru_cache(maxsize=4)
def _contrast_sensitivity(height: int, width: int) -> np.ndarray:
    """The filter on the half plane of `rfft2`.

    The authors' frequencies are half a step off and they take the real part of what comes out: that
    is the mean of the filter at a frequency and at its negative.
    """
    down, across = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    down, across = np.meshgrid(down, across, indexing='ij')
    radius = CYCLES_PER_WIDTH * np.hypot(down, across) / width
    oblique = 0.15 * np.cos(4 * np.arctan2(down, across)) + 0.85  # 3 dB less on the diagonals
    radius = radius / oblique
    # Mannos and Sakrison 1974, flat below its peak
    scaled = 0.114 * radius
    filtered = np.where(radius < 7.8909, 0.9809, 2.6 * (0.0192 + scaled) * np.exp(-scaled ** 1.1))
    filtered = np.fft.ifftshift(filtered)
    negative = np.roll(filtered[::-1, ::-1], (1, 1), axis=(0, 1))
    return ((filtered + negative) / 2)[:, :width // 2 + 1]


@functools.lru_cache(maxsize=4)
def _log_gabor(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The filters' factors: by scale, `5 h w`, and by orientation, `4 h w`; frequency 0 first."""
    down, across = ((np.arange(side) - side / 2) / (side / 2) for side in (height, width))
    down, across = np.meshgrid(down, across, indexing='ij')
    # MATLAB rounds a half up; on an odd side this is not the least radius, and yet frequency 0
    centre = math.floor(height / 2 + 0.5), math.floor(width / 2 + 0.5)
    radius = np.hypot(down, across)
    radius[centre] = 1
    radial = np.stack([np.exp(-0.5 * (np.log(radius * wavelength / 2) / LOG_BANDWIDTH) ** 2)
                       for wavelength in WAVELENGTHS])
    radial[:, *centre] = 0
    angle = np.arctan2(-down, across)
    distance = [np.abs(np.angle(np.exp(1j * (angle - i * np.pi / ORIENTATIONS))))
                for i in range(ORIENTATIONS)]
    angular = np.exp(-0.5 * (np.stack(distance) / ANGLE_SIGMA) ** 2)
    return np.fft.fftshift(radial, axes=(1, 2)), np.fft.fftshift(angular, axes=(1, 2))

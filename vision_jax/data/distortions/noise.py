"""Noise: KADID-10k types 11 to 15. Variances are those of values in [0, 1], as MATLAB's imnoise."""

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_image
from vision_jax.data.distortions.blocks import dct_blocks, idct_blocks
from vision_jax.ops import colour

DENOISE_BLOCK = 8
DENOISE_STEP = 4
DENOISE_THRESHOLD = 3.0  # in standard deviations of the noise; Yu and Sapiro (2011), section 2


def white_noise(key: jax.Array, image, *, variance):
    """Gaussian noise in RGB (type 11).

    Args:
        key: For the noise.
        image: `*b h w 3` in [0, 1].
        variance: Of the noise, at least 0.

    Returns:
        `*b h w 3`, clipped to [0, 1].
    """
    check_image('image', image, channels=3)
    return _add_gaussian(key, image, variance)


def colour_component_noise(key: jax.Array, image, *, variance):
    """Gaussian noise in YCbCr of studio range, as MATLAB's rgb2ycbcr gives it (type 12).

    Args:
        key: As for `white_noise`.
        image: `*b h w 3` in [0, 1].
        variance: Of each of Y, Cb and Cr, which span [0, 1].

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    ycbcr = colour.rgb_to_ycbcr(image, full_range=False)
    noisy = _add_gaussian(key, ycbcr, variance)
    return jnp.clip(colour.ycbcr_to_rgb(noisy, full_range=False), 0.0, 1.0)


def impulse_noise(key: jax.Array, image, *, density):
    """Salt and pepper: values, each channel alone, become 0 or 1 (type 13).

    Args:
        key: For the places.
        image: `*b h w 3` in [0, 1].
        density: The expected share of changed values, in [0, 1]; half of them become 1.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    draw = jax.random.uniform(key, image.shape, image.dtype)
    peppered = jnp.where(draw < density / 2, 0.0, image)
    return jnp.where((draw >= density / 2) & (draw < density), 1.0, peppered)


def multiplicative_noise(key: jax.Array, image, *, variance):
    """Speckle: `x + n x`, n uniform with mean 0 (type 14).

    Args:
        key: For the noise.
        image: `*b h w 3` in [0, 1].
        variance: Of n, at least 0.

    Returns:
        `*b h w 3`, clipped to [0, 1].

    Notes:
        Uniform as in MATLAB's imnoise(..., 'speckle'); Python ports take a Gaussian.
    """
    check_image('image', image, channels=3)
    reach = jnp.sqrt(3.0 * variance)
    noise = reach * jax.random.uniform(key, image.shape, image.dtype, minval=-1.0)
    return jnp.clip(image + noise * image, 0.0, 1.0)


def denoising(key: jax.Array, image, *, variance):
    """Gaussian noise, then a denoiser: blurred detail and residual blotches (type 15).

    Args:
        key: For the noise.
        image: `*b h w 3` in [0, 1], at least 8 pixels a side.
        variance: Of the noise, over 0.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        The generator denoises each channel by the network DnCNN. Its weights cannot be had here;
        the stand-in is `dct_denoise` on each channel, told the variance.
    """
    check_image('image', image, channels=3, min_side=DENOISE_BLOCK)
    noisy = _add_gaussian(key, image, variance)
    return jnp.clip(dct_denoise(noisy, sigma=jnp.sqrt(variance)), 0.0, 1.0)


def dct_denoise(image, *, sigma):
    """Thresholds the DCT of overlapping 8x8 blocks and averages them.

    A coefficient below 3 sigma is set to 0, the mean of a block is kept.

    Args:
        image: `*b h w c`.
        sigma: Standard deviation of the noise.

    Returns:
        `*b h w c`.

    Source:
        G. Yu, G. Sapiro, "DCT image denoising: a simple and effective image denoising algorithm",
        Image Processing On Line 1 (2011).

    Notes:
        Blocks start at every fourth pixel in each axis, not at every one; each channel alone.
    """
    size, step = DENOISE_BLOCK, DENOISE_STEP
    height, width = image.shape[-3:-1]
    after = [(-side) % size + size for side in (height, width)]
    widths = [(0, 0)] * (image.ndim - 3) + [(size, after[0]), (size, after[1]), (0, 0)]
    padded = jnp.pad(image, widths, mode='symmetric')
    def denoise_from(start):
        shifted = jnp.roll(padded, (-start[0], -start[1]), axis=(-3, -2))
        coefficients = dct_blocks(shifted)
        large = jnp.abs(coefficients) > DENOISE_THRESHOLD * sigma
        large = large.at[..., 0, :, 0, :].set(True)  # the means
        kept = jnp.where(large, coefficients, 0.0)
        return jnp.roll(idct_blocks(kept), (start[0], start[1]), axis=(-3, -2))

    starts = [(row, column) for row in range(0, size, step) for column in range(0, size, step)]
    total = sum(denoise_from(start) for start in starts) / len(starts)
    return total[..., size:size + height, size:size + width, :]


def _add_gaussian(key, image, variance):
    noise = jnp.sqrt(variance) * jax.random.normal(key, image.shape, image.dtype)
    return jnp.clip(image + noise, 0.0, 1.0)

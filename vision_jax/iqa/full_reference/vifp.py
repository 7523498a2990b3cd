"""VIFp: visual information fidelity in the pixel domain, over four scales."""

import jax.numpy as jnp

from vision_jax.core.checks import check_pair
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import filter_separable, gaussian_kernel

WHITE = 255.0  # the noise is given on this scale
WINDOWS = (17, 9, 5, 3)  # of the scales, with the standard deviation N / 5
LEAST_VARIANCE = 1e-10
MIN_SIDE = 41  # what leaves one window at the last scale


def vifp(reference, distorted, *, noise: float = 2.0, colour: str = 'matlab',
         data_range: float = 1.0):
    """VIFp of pairs of images; 1 for equal ones, above 1 where contrast is enhanced.

    `VIFp = sum log(1 + g^2 s_r^2 / (s_v^2 + noise)) / sum log(1 + s_r^2 / noise)` over pixels and
    scales, `d = g r + v` being fitted in every window.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3, sides of at least 41.
        distorted: The same shape; the order matters.
        noise: Variance of the visual noise, on the scale of 0 to 255.
        colour: See `ops.colour.to_grey`; 'bt601' as piq, or 'each' as sewar and torchmetrics, which
            compare every channel alone and average the scores.
        data_range: The value of white.

    Returns:
        Scores `*b`, at least 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006; the pixel domain
        form is the authors' vifp_mscale.m, which no paper describes.

    Notes:
        A flat reference has no information to lose: the score is 1, where the code divides 0 by 0.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    first, second = (_planes(image, colour) for image in pair)
    kept, available = 0.0, 0.0
    for scale, size in enumerate(WINDOWS):
        taps = gaussian_kernel(size / 5, size=size)
        if scale:
            first, second = (_blur(plane, taps)[..., ::2, ::2] for plane in (first, second))
        information = _information(first, second, taps, noise)
        kept, available = kept + information[0], available + information[1]
    informed = available > 0
    score = jnp.where(informed, kept / jnp.where(informed, available, 1.0), 1.0)
    return score.mean(-1)


def _planes(image, colour: str):
    """`*b c h w` about 0, on the scale of 0 to 255."""
    grey = image if colour == 'each' else to_grey(image, rule=colour)
    planes = WHITE * jnp.moveaxis(grey, -1, -3)
    # variances are blind to the mean, and float32 loses digits of `E x^2 - (E x)^2` with it
    return planes - planes.mean((-2, -1), keepdims=True)


def _information(first, second, taps, noise: float):
    """What is kept and what was there, in nats, summed over the pixels."""
    products = jnp.stack([first, second, first * first, second * second, first * second])
    mean_1, mean_2, square_1, square_2, product = _blur(products, taps)
    variance_1 = jnp.maximum(square_1 - mean_1 * mean_1, 0.0)
    variance_2 = jnp.maximum(square_2 - mean_2 * mean_2, 0.0)
    covariance = product - mean_1 * mean_2
    gain = covariance / (variance_1 + LEAST_VARIANCE)
    rest = variance_2 - gain * covariance
    flat_1, flat_2 = variance_1 < LEAST_VARIANCE, variance_2 < LEAST_VARIANCE
    gain, rest = jnp.where(flat_1, 0.0, gain), jnp.where(flat_1, variance_2, rest)
    variance_1 = jnp.where(flat_1, 0.0, variance_1)
    gain, rest = jnp.where(flat_2, 0.0, gain), jnp.where(flat_2, 0.0, rest)
    inverted = gain < 0
    rest = jnp.maximum(jnp.where(inverted, variance_2, rest), LEAST_VARIANCE)
    gain = jnp.where(inverted, 0.0, gain)
    kept = jnp.log1p(gain * gain * variance_1 / (rest + noise))
    return kept.sum((-2, -1)), jnp.log1p(variance_1 / noise).sum((-2, -1))


def _blur(planes, taps):
    return filter_separable(planes[..., None], taps, taps, padding='valid')[..., 0]

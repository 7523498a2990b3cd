"""VIF: visual information fidelity in the wavelet domain."""

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_pair
from vision_jax.ops.colour import to_grey
from vision_jax.ops.pyramids import steerable_pyramid
from vision_jax.ops.scale_mixture import scale_mixture, whole_blocks

WHITE = 255.0  # the noise is given on this scale
BLOCK = 3  # side of the vectors of the Gaussian scale mixture
WINDOWS = (17, 9, 5, 3)  # of the levels, in coefficients: where the distortion is fitted
ORIENTATIONS = (0, 3)  # of the six: the derivatives across and down
LEAST_VARIANCE = 1e-15
MIN_SIDE = 72  # four levels of 9x9 filters


def vif(reference, distorted, *, noise: float = 0.4, colour: str = 'matlab',
        data_range: float = 1.0):
    """VIF of pairs of images; 1 for equal ones, above 1 where contrast is enhanced.

    `VIF = sum log |I + g^2 s C / (v + noise)| / sum log |I + s C / noise|` over 3x3 blocks of eight
    subbands: C is the covariance of a reference subband's blocks, `s = c^T C^-1 c / 9` the local
    variance, and `d = g r + v` is fitted in every window.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3, sides of at least 72.
        distorted: The same shape; the order matters.
        noise: Variance of the visual noise, on the scale of 0 to 255.
        colour: See `ops.colour.to_grey`, or 'each' to compare every channel alone and average the
            scores; 'matlab_uint8' as pyiqa, which rounds.
        data_range: The value of white.

    Returns:
        Scores `*b`, at least 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006, Eqs. 5 to 18;
        constants, subbands and windows of the authors' vifvec.m.

    Notes:
        A flat reference has no information to lose: the score is 1, where the code divides 0 by 0.
        Where C is singular (stripes), the directions without variance count for nothing; the code
        inverts C all the same.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    first, second = (
        steerable_pyramid(_planes(image, colour), levels=len(WINDOWS), orientations=ORIENTATIONS)
        for image in pair)
    kept, available = 0.0, 0.0
    for window, bands in zip(WINDOWS, zip(first.levels, second.levels, strict=True), strict=True):
        whole = (whole_blocks(band, block=BLOCK) for band in bands)
        information = _information(*whole, window, noise)
        kept, available = kept + information[0], available + information[1]
    informed = available > 0
    score = jnp.where(informed, kept / jnp.where(informed, available, 1.0), 1.0)
    return score.mean(-1)


def _planes(image, colour: str):
    """`*b c h w` about 0, on the scale of 0 to 255."""
    grey = image if colour == 'each' else to_grey(image, rule=colour)
    planes = WHITE * jnp.moveaxis(grey, -1, -3)
    # the subbands are blind to the mean, and float32 sees more without it
    return planes - planes.mean((-2, -1), keepdims=True)


def _information(first, second, window: int, noise: float):
    """What is kept and what was there, in nats, of one level, `*b c`."""
    # blocks whose windows leave the subband are left out
    margin = -(-(window // 2) // BLOCK)
    gain, rest = _channel(first, second, window, margin)
    variance, spectrum = scale_mixture(first, block=BLOCK, margin=margin)
    kept, available = 0.0, 0.0
    for i in range(BLOCK * BLOCK):
        power = variance * spectrum[..., i, None, None]
        kept = kept + jnp.log1p(gain * gain * power / (rest + noise))
        available = available + jnp.log1p(power / noise)
    return kept.sum((-3, -2, -1)), available.sum((-3, -2, -1))


def _channel(first, second, window: int, margin: int):
    """Gain and variance of the rest where `second` is fitted by `first`, a value a block."""
    sums = jnp.stack([first, second, first * first, second * second, first * second])
    start = BLOCK * margin + BLOCK // 2 - window // 2
    for axis in (-2, -1):
        span = BLOCK * (first.shape[axis] // BLOCK - 2 * margin - 1) + 1
        sums = sum(jax.lax.slice_in_dim(sums, start + i, start + i + span, BLOCK, axis)
                   for i in range(window))
    area = window * window
    sum_1, sum_2, square_1, square_2, product = sums
    spread_1 = jnp.maximum(square_1 - sum_1 * sum_1 / area, 0.0)
    spread_2 = jnp.maximum(square_2 - sum_2 * sum_2 / area, 0.0)
    common = product - sum_1 * sum_2 / area
    gain = common / (spread_1 + LEAST_VARIANCE)
    rest = (spread_2 - gain * common) / area
    flat_1, flat_2 = spread_1 < LEAST_VARIANCE, spread_2 < LEAST_VARIANCE
    # the authors' spread here is a sum where `rest` is a mean
    gain, rest = jnp.where(flat_1, 0.0, gain), jnp.where(flat_1, spread_2, rest)
    gain, rest = jnp.where(flat_2, 0.0, gain), jnp.where(flat_2, 0.0, rest)
    inverted = gain < 0
    rest = jnp.maximum(jnp.where(inverted, spread_2, rest), LEAST_VARIANCE)
    return jnp.where(inverted, 0.0, gain), rest

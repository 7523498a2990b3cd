"""DSS: similarity of the subbands of an 8 by 8 DCT."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import GREY_RULES, to_grey
from vision_jax.ops.filters import gaussian_kernel, pad_image, safe_sqrt
from vision_jax.ops.order_statistics import mean_of_smallest
from vision_jax.ops.similarity import dissimilarity

# Of the authors' dss_index.m, on the scale of 0 to 255: the blocks, the weight of subbands and
# where it ends, the window of the local variance, the share of worst places, and C of DC and of AC.
BLOCK = 8
WEIGHT_SIGMA, LEAST_WEIGHT = 1.55, 1e-2
WINDOW_SIZE, WINDOW_SIGMA = 3, 1.5
WORST_SHARE = 0.05
DC_CONSTANT, AC_CONSTANT = 1000.0, 300.0
MIN_SIDE = 32  # 16 blocks, of which 5 % is one


def dss(reference, distorted, *, colour: str = 'matlab', data_range: float = 1.0):
    """DSS of pairs of images; 1 for equal ones, and higher is better.

    `sum_mn w_mn s_mn / sum_mn w_mn` over the subbands of the 8 by 8 DCT, s the mean of the worst
    5 % of `(2 d_1 d_2 + C) / (d_1^2 + d_2^2 + C)`, d the local standard deviation; for DC times
    that of `(d_12 + C) / (d_1 d_2 + C)`, d_12 the local covariance.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3; at least 32 by 32. Rows and
            columns beyond the last block of 8 are left out.
        distorted: The same shape.
        colour: How colour becomes grey, a rule of `ops.colour.to_grey`: 'matlab' for rgb2gray,
            'bt601' for the Y of piq.
        data_range: The value of white.

    Returns:
        Scores `*b`, at most 1.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Balanov, Schwartz, Moshe, Peleg: Image Quality Assessment based on DCT Subband Similarity,
        ICIP 2015, section 2, and the authors' dss_index.m.
    """
    check_choice('colour', colour, GREY_RULES)
    pair = check_pair(reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    weights = _subband_weights()
    one, two = (_dct_subbands(255 * to_grey(image, rule=colour)[..., 0]) for image in pair)
    variances, covariance = _local_moments(one, two)
    first, second = (safe_sqrt(variance) for variance in variances)
    constant = np.full((len(weights), 1, 1), AC_CONSTANT)
    constant[0] = DC_CONSTANT
    constant = jnp.asarray(constant, one.dtype).reshape((1,) * (one.ndim - 3) + constant.shape)
    scores = 1 + _mean_of_worst(-dissimilarity(first, second, constant))
    agreement = (covariance + DC_CONSTANT) / (first[..., 0, :, :] * second[..., 0, :, :]
                                              + DC_CONSTANT)
    scores = scores.at[..., 0].multiply(_mean_of_worst(agreement))
    weights = jnp.asarray(weights / weights.sum(), scores.dtype)
    return (scores * weights.reshape((1,) * (scores.ndim - 1) + weights.shape)).sum(-1)


@functools.cache
def _all_weights() -> np.ndarray:
    """The weight of each subband, vertical by horizontal frequency, 0 where it is left out."""
    distance = (np.arange(BLOCK) + 0.5) ** 2
    weights = np.exp(-(distance[:, None] + distance[None, :]) / (2 * WEIGHT_SIGMA ** 2))
    return np.where(weights >= LEAST_WEIGHT, weights, 0.0)


def _subband_weights() -> np.ndarray:
    """Those that are not 0, in the order of `_dct_subbands`: DC first."""
    return _all_weights()[_all_weights() > 0]


def _dct_subbands(plane):
    """Of `*b h w`: `*b n h/8 w/8`, the n subbands that weigh."""
    weighs = _all_weights() > 0
    frequencies = int(weighs[0].sum())
    angles = np.outer(np.arange(frequencies), 2 * np.arange(BLOCK) + 1) * np.pi / (2 * BLOCK)
    basis = np.cos(angles) * np.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    height, width = (side // BLOCK for side in plane.shape[-2:])
    blocks = plane[..., :height * BLOCK, :width * BLOCK]
    blocks = blocks.reshape(*plane.shape[:-2], height, BLOCK, width * BLOCK)
    down = jnp.stack([sum(float(tap) * blocks[..., i, :] for i, tap in enumerate(taps))
                      for taps in basis], axis=-3)  # [*b, m, h/8, w]
    down = down.reshape(*down.shape[:-1], width, BLOCK)
    both = jnp.einsum('...mhwj,nj->...mnhw', down, jnp.asarray(basis, plane.dtype),
                      precision=jax.lax.Precision.HIGHEST)
    return jnp.stack([both[..., m, n, :, :] for m, n in np.argwhere(weighs)], axis=-3)


def _local_moments(one, two):
    """Local variances of both `*b n h w` and the covariance `*b h w` of their first subbands.

    Of the differences from the middle of each window, so that a flat window has 0 to the last digit
    where a difference of means would have noise, whose root matters. Beyond the border are zeros.
    """
    taps = gaussian_kernel(WINDOW_SIGMA, size=WINDOW_SIZE)
    kernel = np.outer(taps, taps)
    squares, means, products = [0.0, 0.0], [0.0, 0.0], 0.0
    for (row, column), weight in np.ndenumerate(kernel):
        steps = [_shifted(maps, row, column) - maps for maps in (one, two)]
        for image, step in enumerate(steps):
            squares[image] = squares[image] + float(weight) * step * step
            means[image] = means[image] + float(weight) * step
        first, second = (step[..., 0, :, :] for step in steps)
        products = products + float(weight) * first * second
    variances = [jnp.maximum(square - mean * mean, 0.0)
                 for square, mean in zip(squares, means, strict=True)]
    return variances, products - means[0][..., 0, :, :] * means[1][..., 0, :, :]


def _shifted(maps, row: int, column: int):
    """What lies `row - 1` below and `column - 1` to the right of each place of `*b h w`."""
    height, width = maps.shape[-2:]
    padded = pad_image(maps[..., None], rows=(1, 1), columns=(1, 1), padding='zero')[..., 0]
    return padded[..., row:row + height, column:column + width]


def _mean_of_worst(maps):
    """The mean of the smallest 5 % of `*b h w`, their number rounded half up."""
    flat = maps.reshape(*maps.shape[:-2], -1)
    return mean_of_smallest(flat, math.floor(WORST_SHARE * flat.shape[-1] + 0.5))

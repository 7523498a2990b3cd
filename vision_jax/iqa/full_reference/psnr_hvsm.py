"""PSNR-HVS-M: PSNR-HVS without the errors that the content of their block masks."""

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.iqa.full_reference.psnr_hvs import BLOCK, decibels, weighted_error
from vision_jax.ops.block_dct import block_dct, split_blocks
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import safe_sqrt

# Ponomarenko 2007, Eq. 1: the weights of a coefficient's energy in the masking; 0 for the mean.
MASKING = np.array([
    [0.390625, 0.826446, 1.000000, 0.390625, 0.173611, 0.062500, 0.038447, 0.026874],
    [0.694444, 0.694444, 0.510204, 0.277008, 0.147929, 0.029727, 0.027778, 0.033058],
    [0.510204, 0.591716, 0.390625, 0.173611, 0.062500, 0.030779, 0.021004, 0.031888],
    [0.510204, 0.346021, 0.206612, 0.118906, 0.038447, 0.013212, 0.015625, 0.026015],
    [0.308642, 0.206612, 0.073046, 0.031888, 0.021626, 0.008417, 0.009426, 0.016866],
    [0.173611, 0.081633, 0.033058, 0.024414, 0.015242, 0.009246, 0.007831, 0.011815],
    [0.041649, 0.024414, 0.016437, 0.013212, 0.009426, 0.006830, 0.006944, 0.009803],
    [0.019290, 0.011815, 0.011080, 0.010412, 0.007972, 0.010000, 0.009426, 0.010203],
])
MASKED_SHARE = 16.0  # Eq. 2: f_m; the energy is divided by it and by the 64 coefficients
# A block whose sum of squared deviations is less is flat: one step of 8 bits in one pixel has 1e-5.
FLAT = 1e-10


def psnr_hvsm(reference, distorted, *, colour: str = 'matlab', data_range: float = 1.0,
              return_map: bool = False):
    """PSNR-HVS-M of pairs of images in dB; higher is better.

    PSNR-HVS of `max(|A_uv - B_uv| - E / M_uv, 0)`, but for the mean of a block, which nothing
    masks; `E` is the greater of the masking effects of the two blocks,
    `sqrt(d sum(M_uv A_uv^2) / (16 64))`, `d` the sum of the variances of the block's quarters over
    the variance of the block.

    Args:
        reference: `*b h w c`, floats in [0, data_range], at least 8 by 8.
        distorted: The same shape.
        colour: How a colour image becomes grey, see `ops.colour.to_grey`.
        data_range: The value of white.
        return_map: Also return the mean squared weighted error of each block.

    Returns:
        Scores `*b`, 100000 where every error is masked; with `return_map` a pair of them and the
        errors, `*b h//8 w//8`, on the scale of white = 1.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown `colour`.

    Source:
        Ponomarenko, Silvestri, Egiazarian, Carli, Astola, Lukin: On between-coefficient contrast
        masking of DCT basis functions, VPQM 2007, Eqs. 1 to 4; digits of the authors' psnrhvsm.m.

    Notes:
        As `psnr_hvs`. Where the code asks for a variance of exactly 0 we take a rounding error's.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=BLOCK)
    blocks = [split_blocks(to_grey(image, rule=colour)[..., 0], size=BLOCK) for image in pair]
    first, second = (block_dct(block) for block in blocks)
    mask = jnp.maximum(_masking(blocks[0], first), _masking(blocks[1], second))
    inverse = 1 / MASKING
    inverse[0, 0] = 0
    threshold = mask[..., None, None] * _table(inverse, first)
    errors = weighted_error(jnp.maximum(jnp.abs(first - second) - threshold, 0.0))
    score = decibels(errors)
    return (score, errors) if return_map else score


def _masking(blocks, spectrum):
    """The masking effect of each block, `*b rows columns`."""
    weights = MASKING.copy()
    weights[0, 0] = 0
    energy = (jnp.square(spectrum) * _table(weights, spectrum)).sum((-2, -1))
    half = BLOCK // 2
    quarters = sum(_variance(blocks[..., i:i + half, j:j + half])
                   for i in (0, half) for j in (0, half))
    whole = _variance(blocks)
    varied = whole > FLAT
    share = jnp.where(varied, quarters / jnp.where(varied, whole, 1.0), 0.0)
    return safe_sqrt(energy * share / (MASKED_SHARE * BLOCK ** 2))


def _variance(blocks):
    """The unbiased variance of the pixels times their number, as the authors' `vari`."""
    count = blocks.shape[-2] * blocks.shape[-1]
    deviation = blocks - blocks.mean((-2, -1), keepdims=True)
    return jnp.square(deviation).sum((-2, -1)) * (count / (count - 1))


def _table(table, like):
    return jnp.asarray(table, like.dtype).reshape((1,) * (like.ndim - 2) + table.shape)

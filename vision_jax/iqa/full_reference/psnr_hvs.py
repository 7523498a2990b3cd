"""PSNR-HVS: PSNR of DCT coefficients weighted by the contrast sensitivity of the eye.

PSNR-HVS-M, which also masks, is in `psnr_hvsm.py` and takes the weights and the score from here.
"""

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.ops.block_dct import block_dct, split_blocks
from vision_jax.ops.colour import to_grey

BLOCK = 8
IDENTICAL = 100_000.0  # dB, what the authors' code gives where no error is left
# Egiazarian 2006, section 2: the contrast sensitivity of an 8x8 DCT, scaled to the error of a PSNR.
SENSITIVITY = np.array([
    [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887],
    [2.144591, 2.144591, 1.838221, 1.354478, 0.989811, 0.443708, 0.428918, 0.467911],
    [1.838221, 1.979622, 1.608443, 1.072295, 0.643377, 0.451493, 0.372972, 0.459555],
    [1.838221, 1.513829, 1.169777, 0.887417, 0.504610, 0.295806, 0.321689, 0.415082],
    [1.429727, 1.169777, 0.695543, 0.459555, 0.378457, 0.236102, 0.249855, 0.334222],
    [1.072295, 0.735288, 0.467911, 0.402111, 0.317717, 0.247453, 0.227744, 0.279729],
    [0.525206, 0.402111, 0.329937, 0.295806, 0.249855, 0.212687, 0.214459, 0.254803],
    [0.357432, 0.279729, 0.270896, 0.262603, 0.229778, 0.257351, 0.249855, 0.259950],
])


def psnr_hvs(reference, distorted, *, colour: str = 'matlab', data_range: float = 1.0,
             return_map: bool = False):
    """PSNR-HVS of pairs of images in dB; higher is better.

    `10 log10(1 / mean((S_uv (A_uv - B_uv))^2))` over the coefficients A, B of the 8x8 DCT of all
    blocks that do not overlap, S the contrast sensitivity.

    Args:
        reference: `*b h w c`, floats in [0, data_range], at least 8 by 8.
        distorted: The same shape.
        colour: How a colour image becomes grey, see `ops.colour.to_grey`.
        data_range: The value of white.
        return_map: Also return the mean squared weighted error of each block.

    Returns:
        Scores `*b`, 100000 for equal images; with `return_map` a pair of them and the errors,
        `*b h//8 w//8`, on the scale of white = 1.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown `colour`.

    Source:
        Egiazarian, Astola, Ponomarenko, Lukin, Battisti, Carli: New full-reference quality metrics
        based on HVS, VPQM 2006; the weights have the digits of the authors' psnrhvsm.m.

    Notes:
        Rows and columns past the last whole block are left out, as there. The authors' `wstep` is
        8. The package psnr_hvsm gives 100 dB for equal images.
    """
    reference, distorted = check_pair(reference, distorted, data_range=data_range, min_side=BLOCK)
    difference = to_grey(reference, rule=colour) - to_grey(distorted, rule=colour)
    spectrum = block_dct(split_blocks(difference[..., 0], size=BLOCK))
    errors = weighted_error(spectrum)
    score = decibels(errors)
    return (score, errors) if return_map else score


def weighted_error(spectrum):
    """The mean over each block of the squared coefficients times the squared sensitivity.

    Args:
        spectrum: `*b rows columns 8 8`, differences of DCT coefficients.

    Returns:
        `*b rows columns`.
    """
    weights = jnp.asarray(SENSITIVITY, spectrum.dtype).reshape((1,) * (spectrum.ndim - 2) + (8, 8))
    return jnp.square(weights * spectrum).mean((-2, -1))


def decibels(errors):
    """`10 log10(1 / mean)` over the blocks, and 100000 where the mean is 0, with a derivative of 0.

    Args:
        errors: `*b rows columns`.

    Returns:
        `*b`.
    """
    mean = errors.mean((-2, -1))
    some = mean > 0
    return jnp.where(some, -10 * jnp.log10(jnp.where(some, mean, 1.0)), IDENTICAL)

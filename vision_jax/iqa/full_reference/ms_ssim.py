"""MS-SSIM: multi-scale structural similarity."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.ssim import similarities
from vision_jax.ops.colour import colour_planes
from vision_jax.ops.downsample import halve
from vision_jax.ops.filters import pad_image

# Wang, Simoncelli, Bovik 2003, section 3.2: found by experiment with eight people.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
DOWNSAMPLINGS = ('matlab', 'pool', 'pool_zero', 'crop')
NEGATIVES = ('relu', 'real')
COMBINATIONS = ('product', 'weighted_sum')


def ms_ssim(reference, distorted, *, colour: str = 'matlab', downsample: str = 'matlab',
            negative: str = 'relu', combine: str = 'product', weights: Sequence[float] = WEIGHTS,
            window_size: int = 11, sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03,
            data_range: float = 1.0):
    """MS-SSIM of pairs; 1 for equal images, and higher is better.

    `MS-SSIM = mean(SSIM_5)^w_5 prod_j mean(cs_j)^w_j`, j from 1 to 4, of contrast-structure `cs_j`
    at five scales, each half as large as the last.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour; at least 176 pixels a
            side, or 161 with 'pool' and 'pool_zero'.
        distorted: The same shape.
        colour: A rule of `ops.colour.to_grey`, or 'each': the mean over channels, as TensorFlow,
            piq and pytorch-msssim have it.
        downsample: How a scale is halved, which differs on odd sizes. 'matlab': means of 2 by 2
            over a mirrored border, as the authors, TensorFlow and plenoptic. 'pool': if any side is
            odd, one row and column are repeated before (piq). 'pool_zero': zeros before each odd
            side (pytorch-msssim). 'crop': the odd row or column is left out (torchmetrics).
        negative: What becomes of a negative mean, whose power is complex and which the authors'
            code leaves so. 'relu' takes 0, as all packages; 'real' the real part of the product.
        combine: 'product', or 'weighted_sum' of the means, the other method of the authors' code.
        weights: One for each scale, from fine to coarse.
        window_size: Side of the Gaussian window in pixels.
        sigma: Of the window, in pixels.
        k1: Of the constant C1, over 0.
        k2: Of the constant C2, over 0.
        data_range: The value of white.

    Returns:
        Scores `*b`, in [0, 1] but for 'real' and 'weighted_sum', whose least is -1.

    Raises:
        InputError: On a wrong shape, dtype or range, an image too small for the scales, an unknown
            name.

    Source:
        Wang, Simoncelli, Bovik: Multi-scale structural similarity for image quality assessment,
        Asilomar 2003, Eq. 7; the authors' msssim.m.
    """
    if len(weights) < 1:
        raise InputError('weights: expected at least one')
    halvings = 2 ** (len(weights) - 1)
    padded = downsample in ('pool', 'pool_zero')
    pair = check_pair(reference, distorted, data_range=data_range,
                      min_side=(window_size - 1) * halvings + 1 if padded
                      else window_size * halvings)
    maps = scale_maps(*pair, colour=colour, downsample=downsample, scales=len(weights),
                      window_size=window_size, sigma=sigma, k1=k1, k2=k2)
    return combine_scales([local.mean((-2, -1)) for local in maps], negative=negative,
                          combine=combine, weights=weights)


def scale_maps(reference, distorted, *, colour: str = 'matlab', downsample: str = 'matlab',
               scales: int = 5, window_size: int = 11, sigma: float = 1.5, k1: float = 0.01,
               k2: float = 0.03) -> list:
    """The local indices of two checked images: contrast-structure, and SSIM at the last scale.

    Args:
        reference: `*b h w c` in [0, 1].
        distorted: The same shape.
        colour: As in `ms_ssim`.
        downsample: As in `ms_ssim`.
        scales: How many.
        window_size: As in `ms_ssim`.
        sigma: As in `ms_ssim`.
        k1: As in `ms_ssim`.
        k2: As in `ms_ssim`.

    Returns:
        One map a scale, `*b p h' w'`, with `p` planes of colour.
    """
    check_choice('downsample', downsample, DOWNSAMPLINGS)
    planes = [colour_planes(image, rule=colour) for image in (reference, distorted)]
    maps = []
    for scale in range(scales):
        if scale:
            planes = [_halve(plane[..., None], downsample)[..., 0] for plane in planes]
        luminance, structure = similarities(*planes, window_size=window_size, sigma=sigma, k1=k1,
                                            k2=k2)
        maps.append(luminance * structure if scale == scales - 1 else structure)
    return maps


def combine_scales(means: list, *, negative: str = 'relu', combine: str = 'product',
                   weights: Sequence[float] = WEIGHTS):
    """The score of the mean indices of all scales.

    Args:
        means: `*b p` each.
        negative: As in `ms_ssim`.
        combine: As in `ms_ssim`.
        weights: As in `ms_ssim`.

    Returns:
        `*b`.
    """
    check_choice('negative', negative, NEGATIVES)
    check_choice('combine', combine, COMBINATIONS)
    if combine == 'weighted_sum':
        total = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        return (total / sum(weights)).mean(-1)
    product, turns = 1.0, 0.0
    for weight, mean in zip(weights, means, strict=True):
        size = jnp.abs(mean)
        power = jnp.exp(weight * jnp.log(jnp.where(size > 0, size, 1.0)))
        product = product * jnp.where(mean > 0 if negative == 'relu' else size > 0, power, 0.0)
        turns = turns + jnp.where(mean < 0, weight, 0.0)
    return (product if negative == 'relu' else product * jnp.cos(np.pi * turns)).mean(-1)


def _halve(image, downsample: str):
    """Half the size of `*b h w 1`."""
    if downsample in ('matlab', 'crop'):
        return halve(image, ragged='repeat' if downsample == 'matlab' else 'crop')
    odd = [side % 2 for side in image.shape[-3:-1]]
    if downsample == 'pool':
        before = [(max(odd), 0)] * 2
        return halve(pad_image(image, rows=before[0], columns=before[1], padding='edge'),
                     ragged='crop')
    rows, columns = ((each, each) for each in odd)
    return halve(pad_image(image, rows=rows, columns=columns, padding='zero'), ragged='crop')

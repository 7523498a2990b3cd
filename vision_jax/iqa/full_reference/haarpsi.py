"""HaarPSI: perceptual similarity by six Haar filters."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import YIQ_MATRICES, mixed_planes
from vision_jax.ops.downsample import halve
from vision_jax.ops.filters import filter_separable
from vision_jax.ops.similarity import dissimilarity

# Reisenhofer 2018, section 3, on the scale of 0 to 255: C and alpha.
CONSTANT, STEEPNESS = 30.0, 4.2
SCALES = 3  # the last one weighs, the others are compared
COLOURS = ('yiq', 'grey')


def haarpsi(reference, distorted, *, colour: str = 'yiq', yiq_digits: str = 'three_digits',
            subsample: bool = True, data_range: float = 1.0, return_map: bool = False):
    """HaarPSI of pairs of images; 1 for equal ones, and higher is better.

    `HaarPSI = l^-1(sum(w l(S)) / sum(w))^2`, `l(x) = 1 / (1 + exp(-a x))`. S compares the
    responses to the two finest horizontal (vertical) Haar filters, w is the greater response to
    the third; of colour, a third S compares the chroma, with the mean of both weights.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3.
        distorted: The same shape.
        colour: Of three channels, 'yiq' compares luminance and chroma, 'grey' only the Y of YIQ.
        yiq_digits: The matrix of YIQ, see `ops.colour.YIQ_MATRICES`: 'three_digits' as the authors,
            'four_digits' as piq.
        subsample: Halve the images first, for a usual viewing distance, as is the authors' default.
        data_range: The value of white.
        return_map: Also return the local similarities.

    Returns:
        Scores `*b` in [0, 1]; with `return_map` a pair of them and S, `*b n h/2 w/2`: for n = 2
        horizontal and vertical, for n = 3 also chroma.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown option.

    Source:
        Reisenhofer, Bosse, Kutyniok, Wiegand: A Haar wavelet-based perceptual similarity index,
        Signal Processing: Image Communication 61, 2018, Eqs. 5 to 12, and the authors' HaarPSI.m.

    Notes:
        Two black images, where the authors' code divides 0 by 0, have 1.
    """
    check_choice('colour', colour, COLOURS)
    check_choice('yiq_digits', yiq_digits, YIQ_MATRICES)
    pair = check_pair(reference, distorted, data_range=data_range)
    matrix = YIQ_MATRICES[yiq_digits][:1 if colour == 'grey' else 3]
    planes = [mixed_planes(255 * image, matrix) if image.shape[-1] == 3 else [255 * image]
              for image in pair]
    luma, *chroma = [jnp.stack([halve(plane) if subsample else plane for plane in both])
                     for both in zip(*planes, strict=True)]
    unlike, weights = zip(*(_edges(luma, axis) for axis in range(2)), strict=True)
    if chroma:
        unlike = (*unlike, sum(_chroma_dissimilarity(plane) for plane in chroma) / 2)
        weights = (*weights, sum(weights) / 2)
    score = _score(unlike, weights)
    return (score, jnp.stack([1 - part for part in unlike], axis=-3)) if return_map else score


def _edges(luma, axis: int):
    """The mean dissimilarity at the fine scales, and the weight from the coarse one."""
    responses = [_haar_response(luma, 2 ** scale, axis) for scale in range(1, SCALES + 1)]
    *fine, coarse = [jnp.abs(response[..., 0]) for response in responses]
    unlike = sum(dissimilarity(part[0], part[1], CONSTANT) for part in fine) / len(fine)
    return unlike, jnp.maximum(coarse[0], coarse[1])


def _haar_response(planes, size: int, axis: int):
    """The half of a `size` by `size` window after its middle, less the half before, over `size`."""
    step = np.repeat([-1.0, 1.0], size // 2) / size
    taps = (step, np.ones(size)) if axis == 0 else (np.ones(size), step)
    return filter_separable(planes, *taps, padding='zero')


def _chroma_dissimilarity(plane):
    half = np.full(2, 0.5)
    mean = jnp.abs(filter_separable(plane, half, half, padding='zero')[..., 0])
    return dissimilarity(mean[0], mean[1], CONSTANT)


def _score(unlike, weights):
    """The pooled logistic similarity, from what it lacks of its greatest value at S = 1.

    Equal images lack exactly 0, and near it float32 keeps its digits.
    """
    full = 1 / (1 + math.exp(-STEEPNESS))
    lack = [full - jax.nn.sigmoid(STEEPNESS * (1 - part)) for part in unlike]
    lack = [jnp.where(part > 0, short, 0.0) for part, short in zip(unlike, lack, strict=True)]
    total = sum(weight.sum((-2, -1)) for weight in weights)
    short = sum((weight * part).sum((-2, -1)) for weight, part in zip(weights, lack, strict=True))
    short = short / jnp.where(total > 0, total, 1.0)
    return ((jnp.log(full - short) - jnp.log(1 - full + short)) / STEEPNESS) ** 2

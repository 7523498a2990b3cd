"""RRED: differences of the scaled entropies of wavelet coefficients.

`rred` scores pairs; where the reference is elsewhere, `extract` it there and `score` here.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.core.errors import InputError
from vision_jax.iqa.reduced_reference.features import check_size, checked, size_of
from vision_jax.ops.colour import to_grey
from vision_jax.ops.pyramids import steerable_pyramid
from vision_jax.ops.scale_mixture import scale_mixture, whole_blocks

WHITE = 255.0  # the noise is given on this scale
LEVELS, ORIENTATION = 4, 3  # the coarsest level, the derivative down
NOISE = 0.1
MIN_SIDE = 72  # four levels of 9x9 filters


class RredFeatures(NamedTuple):
    """What RRED sends of a reference.

    Attributes:
        entropies: Scaled entropies, `*b m n`: one a 3x3 block, or the mean of all, `*b 1 1`.
        size: Height and width of the reference.
    """

    entropies: jnp.ndarray
    size: np.ndarray


def rred(reference, distorted, *, single: bool = False, colour: str = 'matlab',
         data_range: float = 1.0):
    """RRED of pairs of images; 0 for equal ones, and lower is better.

    `D = mean over blocks of |g_r - g_d|`, `g = log2(1 + s) sum_k (log2(s lambda_k + 0.1) +
    log(2 pi e))`, s the local variance of a 3x3 block of the subband and lambda the eigenvalues of
    the covariance of all its blocks.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3, sides of at least 72.
        distorted: The same shape.
        single: As in `extract`.
        colour: See `ops.colour.to_grey`.
        data_range: The value of white.

    Returns:
        Distances `*b`, at least 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Soundararajan, Bovik: RRED indices: reduced reference entropic differencing for image
        quality assessment, IEEE TIP 21(2), 2012; constants and subband of the authors' code, whose
        entropy adds a natural logarithm to binary ones.

    Notes:
        Directions without variance count for nothing, as in the code.
    """
    reference, distorted = check_pair(
        reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    return score(extract(reference, single=single, colour=colour), distorted, colour=colour)


def extract(reference, *, single: bool = False, colour: str = 'matlab',
            data_range: float = 1.0) -> RredFeatures:
    """What of a reference is to be sent.

    Args:
        reference: As in `rred`.
        single: False for an entropy a block, about a number for 2300 pixels; True for their mean
            only, with which the distance is the difference of two means.
        colour: As in `rred`.
        data_range: The value of white.

    Returns:
        The features; see `reduced_reference.features` for their bytes.

    Raises:
        InputError: As `rred`.
    """
    entropies = _entropies(checked('reference', reference, MIN_SIDE, data_range), colour)
    if single:
        entropies = entropies.mean((-2, -1), keepdims=True)
    return RredFeatures(entropies, size_of(reference))


def score(features: RredFeatures, distorted, *, colour: str = 'matlab', data_range: float = 1.0):
    """RRED of distorted images against the features of their references.

    Args:
        features: From `extract`, with the options that are given here.
        distorted: `*b h w c`, of the size of the reference.
        colour: As in `rred`.
        data_range: The value of white.

    Returns:
        Distances `*b`.

    Raises:
        InputError: As `rred`, and if the sizes differ.
    """
    distorted = checked('distorted', distorted, MIN_SIDE, data_range)
    check_size(features, distorted)
    entropies = _entropies(distorted, colour)
    expected = jnp.asarray(features.entropies)
    if expected.shape[-2:] == (1, 1):
        entropies = entropies.mean((-2, -1), keepdims=True)
    if expected.shape[-2:] != entropies.shape[-2:]:
        raise InputError(f'features: expected entropies of {entropies.shape[-2:]} blocks, '
                         f'got shape {expected.shape}')
    return jnp.abs(expected - entropies).mean((-2, -1))


def _entropies(image, colour: str):
    plane = WHITE * to_grey(image, rule=colour)[..., 0]
    # the subband is blind to the mean, and float32 sees more without it
    centred = plane - plane.mean((-2, -1), keepdims=True)
    pyramid = steerable_pyramid(centred, levels=LEVELS, orientations=[ORIENTATION])
    band = whole_blocks(pyramid.levels[-1][..., 0, :, :])
    variance, spectrum = scale_mixture(band)
    alive = spectrum > 16 * float(jnp.finfo(band.dtype).eps) * spectrum[..., -1:]
    entropies = 0.0
    for k in range(spectrum.shape[-1]):
        power = spectrum[..., k, None, None]
        bits = jnp.log2(variance * power + NOISE) + np.log(2 * np.pi * np.e)
        entropies = entropies + jnp.where(alive[..., k, None, None], bits, 0.0)
    return entropies * jnp.log2(1 + variance)

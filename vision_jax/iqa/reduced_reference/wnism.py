"""WNISM: change of the marginal distributions of wavelet coefficients, known by 18 numbers.

`wnism` scores pairs; where the reference is elsewhere, `extract` it there and `score` here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.iqa.reduced_reference.features import check_size, checked, size_of
from vision_jax.iqa.reduced_reference.generalized_gaussian import fit, mismatch
from vision_jax.ops.colour import to_grey
from vision_jax.ops.pyramids import frequency_bands

WHITE = 255.0  # the histograms are given on this scale
ORIENTATIONS = 4
# Level of the pyramid, its two orientations, the pixels left out along the borders, the bin width.
SUBBANDS = ((1, (0, 2), 16, 2.0), (2, (1, 3), 8, 8.0), (3, (0, 2), 4, 32.0))
BINS = 101
MIN_SIDE = 64
# How the authors' code quantises: 8 bits of mantissa and 3 of exponent (from the level's least) for
# the scale, 8 bits each for the exponent of the density and for the error.
LEAST_EXPONENTS = (-6, -6, -5, -5, -4, -4)
EXPONENT_BITS, LEVELS = 3, 256
SHAPE_LEAST, SHAPE_STEP, ERROR_STEP = 0.05, 0.00625, 0.00025


class WnismFeatures(NamedTuple):
    """What WNISM sends of a reference: three numbers for each of six subbands.

    Attributes:
        scale: Of the generalised Gaussian densities, `*b 6`, on the scale of 0 to 255.
        shape: Their exponents, `*b 6`: 2 for Gaussian, 1 for Laplacian.
        error: Divergence of the densities from the histograms, `*b 6`, in nats.
        size: Height and width of the reference.
    """

    scale: jnp.ndarray
    shape: jnp.ndarray
    error: jnp.ndarray
    size: np.ndarray


def wnism(reference, distorted, *, d0: float = 0.001, quantised: bool = False,
          colour: str = 'matlab', data_range: float = 1.0):
    """WNISM of pairs of images; 0 for equal ones, and lower is better.

    `D = log2(1 + sum_k |d(p_k || q_k) - d(p_k || r_k)| / D_0)`: p the generalised Gaussian density
    fitted to the histogram r of a reference subband, q the distorted histogram, d the
    Kullback-Leibler divergence.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3, sides of at least 64.
        distorted: The same shape.
        d0: D_0, which sets where small changes end: 0.001 in the authors' code, 0.1 in the paper.
        quantised: Round the features to the 162 bits that are published; equal images then score a
            little over 0.
        colour: See `ops.colour.to_grey`.
        data_range: The value of white.

    Returns:
        Distances `*b`, at least 0; histograms count, so the gradient is 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Wang, Simoncelli: Reduced-reference image quality assessment using a wavelet-domain natural
        image statistic model, SPIE 5666, 2005, Eqs. 3 to 8; subbands, bins, borders and the 162
        bits of the authors' code (rriqa).

    Notes:
        The density is fitted to convergence, by Newton's method; the code stops Nelder and Mead's
        at 1e-4. Where the code's divergence, taken over filled bins only, can fall below 0, its
        absolute value is 0 along a curve, and any point of it is a fit.
    """
    reference, distorted = check_pair(
        reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    features = extract(reference, colour=colour)
    features = quantise(features) if quantised else features
    return score(features, distorted, d0=d0, colour=colour)


def extract(reference, *, colour: str = 'matlab', data_range: float = 1.0) -> WnismFeatures:
    """What of a reference is to be sent.

    Args:
        reference: As in `wnism`.
        colour: As in `wnism`.
        data_range: The value of white.

    Returns:
        The features; see `reduced_reference.features` for their bytes.

    Raises:
        InputError: As `wnism`.
    """
    histograms = _histograms(checked('reference', reference, MIN_SIDE, data_range), colour)
    scale, shape = fit(histograms)
    error = mismatch(scale, shape, histograms)
    return WnismFeatures(scale * _widths(scale), shape, error, size_of(reference))


def quantise(features: WnismFeatures) -> WnismFeatures:
    """Rounds features to what 162 bits can say.

    Args:
        features: From `extract`.

    Returns:
        The features as a receiver decodes them.
    """
    scale, shape, error, size = features
    least = jnp.asarray(LEAST_EXPONENTS, scale.dtype).reshape((1,) * (scale.ndim - 1) + (-1,))
    exponent = jnp.clip(jnp.floor(jnp.log10(scale)), least, least + 2 ** EXPONENT_BITS - 1)
    power = 10.0 ** exponent
    mantissa = 9 / LEVELS * jnp.clip(jnp.round((scale / power - 1) * LEVELS / 9), 0, LEVELS)
    return WnismFeatures((1 + mantissa) * power, _rounded(shape, SHAPE_LEAST, SHAPE_STEP),
                         _rounded(error, 0.0, ERROR_STEP), size)


def score(features: WnismFeatures, distorted, *, d0: float = 0.001, colour: str = 'matlab',
          data_range: float = 1.0):
    """WNISM of distorted images against the features of their references.

    Args:
        features: From `extract`.
        distorted: `*b h w c`, of the size of the reference.
        d0: As in `wnism`.
        colour: As in `wnism`.
        data_range: The value of white.

    Returns:
        Distances `*b`.

    Raises:
        InputError: As `wnism`, and if the sizes differ.
    """
    distorted = checked('distorted', distorted, MIN_SIDE, data_range)
    check_size(features, distorted)
    histograms = _histograms(distorted, colour)
    scale, shape, error = (jnp.asarray(part, histograms.dtype) for part in features[:3])
    change = mismatch(scale / _widths(scale), shape, histograms) - error
    return jnp.log2(1 + jnp.abs(change).sum(-1) / d0)


def _rounded(value, least: float, step: float):
    return least + step * jnp.clip(jnp.round((value - least) / step), 0, LEVELS - 1)


def _widths(like):
    """The bin width of each subband, in `like`'s dtype and rank."""
    widths = [width for _, orientations, _, width in SUBBANDS for _ in orientations]
    return jnp.asarray(widths, like.dtype).reshape((1,) * (like.ndim - 1) + (-1,))


def _histograms(image, colour: str):
    """Shares of the coefficients in each bin, `*b 6 101`."""
    plane = WHITE * to_grey(image, rule=colour)[..., 0]
    # the subbands are blind to the mean, and float32 sees more without it
    centred = plane - plane.mean((-2, -1), keepdims=True)
    parts = []
    for level, which, border, width in SUBBANDS:
        bands = frequency_bands(centred, level=level, orientations=ORIENTATIONS, which=which)
        inner = bands[..., border:-border, border:-border]
        parts.append(_shares(inner.reshape(*inner.shape[:-2], -1) / width))
    return jnp.concatenate(parts, axis=-2)


def _shares(values):
    """Shares of `*b o n` in bins of width 1 about 0; the outer bins also hold what is beyond."""
    index = jnp.clip(jnp.floor(values + BINS / 2), 0, BINS - 1).astype(jnp.int32)
    rows = index.reshape(-1, index.shape[-1])
    counts = jax.vmap(lambda row: jnp.zeros(BINS, values.dtype).at[row].add(1))(rows)
    return counts.reshape(*index.shape[:-1], BINS) / index.shape[-1]

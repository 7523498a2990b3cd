"""MDSI: the mean deviation of gradient and chromaticity similarity."""

import math

import jax.numpy as jnp

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import mixed_planes
from vision_jax.ops.downsample import RULES, downsample_factor, mean_downsample
from vision_jax.ops.filters import image_gradients, safe_sqrt
from vision_jax.ops.similarity import dissimilarity

# Nafchi 2016, section II, on the scale of 0 to 255: two images, an image and their mean, chroma.
PAIR_CONSTANT, MEAN_CONSTANT, CHROMA_CONSTANT = 140.0, 55.0, 550.0
GRADIENT_SHARE = 0.6  # alpha of the sum
GRADIENT_EXPONENT, CHROMA_EXPONENT = 0.2, 0.1  # gamma and beta of the product
# Nafchi 2016, Eqs. 8 and 9, as the authors' MDSI.m rounds them: luminance and two opponent colours.
RGB_TO_LHM = ((0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
COMBINATIONS = ('sum', 'mult')


def mdsi(reference, distorted, *, combination: str = 'sum', downsample_rule: str = 'matlab',
         data_range: float = 1.0, return_map: bool = False):
    """MDSI of pairs of colour images; 0 for equal ones, and lower is better.

    `MDSI = mean(|q - mean(q)|)^(1/4)`, `q = GCS^(1/4)`, `GCS = 0.6 GS + 0.4 CS` (or a product of
    powers), `GS = S(g_1, g_2) + S(g_2, g_m) - S(g_1, g_m)`, g the Prewitt gradient magnitude of
    the luminance, m their mean image, and CS the joint similarity of two opponent colours.

    Args:
        reference: `*b h w 3`, floats in [0, data_range].
        distorted: The same shape.
        combination: 'sum', the authors' default, or 'mult', `GS^0.2 CS^0.1`.
        downsample_rule: See `ops.downsample`.
        data_range: The value of white.
        return_map: Also return GCS, of a negative base the real part.

    Returns:
        Scores `*b`, at least 0; with `return_map` a pair of them and GCS, `*b h/F w/F`.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown option.

    Source:
        Nafchi, Shahkolaei, Hedjam, Cheriet: Mean Deviation Similarity Index, IEEE Access 4, 2016,
        Eqs. 1 to 14, and the authors' MDSI.m.

    Notes:
        GS and CS may be negative; their powers are complex, and |q - mean(q)| is a modulus.
    """
    check_choice('combination', combination, COMBINATIONS)
    check_choice('downsample_rule', downsample_rule, RULES)
    pair = check_pair(reference, distorted, data_range=data_range, channels=3)
    factor = downsample_factor(*pair[0].shape[-3:-1], rule=downsample_rule)
    planes = [[mean_downsample(plane, factor, rule=downsample_rule)[..., 0]
               for plane in mixed_planes(255 * image, RGB_TO_LHM)] for image in pair]
    (luma, *chroma), (other_luma, *other_chroma) = planes
    unlike = _gradient_dissimilarity(luma, other_luma)
    unlike_chroma = _chroma_dissimilarity(chroma, other_chroma)
    if combination == 'sum':
        unlike = GRADIENT_SHARE * unlike + (1 - GRADIENT_SHARE) * unlike_chroma
        real, imaginary = _quarter_root(unlike)
        combined = 1 - unlike
    else:
        size, turns = _product(1 - unlike, 1 - unlike_chroma)
        root = safe_sqrt(safe_sqrt(size))
        real, imaginary = root * jnp.cos(turns / 4) - 1, root * jnp.sin(turns / 4)
        combined = size * jnp.cos(turns)
    score = safe_sqrt(safe_sqrt(_mean_deviation(real, imaginary)))
    return (score, combined) if return_map else score


def _gradient_dissimilarity(luma, other):
    """1 - GS: the mean image's gradients are the mean of the gradients."""
    first, second = (image_gradients(plane[..., None], kernel='prewitt', padding='zero')
                     for plane in (luma, other))
    mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    one, two, fused = (safe_sqrt(across * across + down * down)[..., 0]
                       for across, down in (first, second, mean))
    return (dissimilarity(one, two, PAIR_CONSTANT) + dissimilarity(two, fused, MEAN_CONSTANT)
            - dissimilarity(one, fused, MEAN_CONSTANT))


def _chroma_dissimilarity(one: list, two: list):
    """1 - CS, the two opponent colours jointly."""
    difference = sum((a - b) ** 2 for a, b in zip(one, two, strict=True))
    return difference / (sum(plane * plane for plane in (*one, *two)) + CHROMA_CONSTANT)


def _quarter_root(unlike):
    """The parts of `(1 - unlike)^(1/4) - 1`, exactly 0 where `unlike` is 0."""
    similar = 1 - unlike
    root = safe_sqrt(safe_sqrt(jnp.abs(similar)))
    turned = jnp.where(similar < 0, math.cos(math.pi / 4) * root, 0.0)
    return jnp.where(similar < 0, turned, root) - 1, turned


def _product(gradient, chroma):
    """Modulus and angle of `gradient^0.2 chroma^0.1`."""
    size, angle = 1.0, 0.0
    for base, exponent in ((gradient, GRADIENT_EXPONENT), (chroma, CHROMA_EXPONENT)):
        known = jnp.where(base == 0, 1.0, jnp.abs(base))
        size = size * jnp.where(base == 0, 0.0, jnp.exp(exponent * jnp.log(known)))
        angle = angle + jnp.where(base < 0, exponent * math.pi, 0.0)
    return size, angle


def _mean_deviation(real, imaginary):
    """The mean modulus of the deviations from the mean, over the plane."""
    real = real - real.mean((-2, -1), keepdims=True)
    imaginary = imaginary - imaginary.mean((-2, -1), keepdims=True)
    return safe_sqrt(real * real + imaginary * imaginary).mean((-2, -1))

"""FSIM and FSIMc: feature similarity by phase congruency and gradient magnitude."""

import jax.numpy as jnp

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import YIQ_MATRICES, mixed_planes
from vision_jax.ops.downsample import RULES, downsample_factor, mean_downsample
from vision_jax.ops.filters import gradient_magnitude
from vision_jax.ops.phase_congruency import phase_congruency
from vision_jax.ops.similarity import real_power, similarity, weighted_mean

# Zhang 2011, section IV.A: T1 to T4 on the scale of 0 to 255, and lambda.
PHASE_CONSTANT, GRADIENT_CONSTANT, CHROMA_CONSTANT = 0.85, 160.0, 200.0
CHROMA_EXPONENT = 0.03
NEGATIVE_CHROMA = ('real', 'absolute')


def fsim(reference, distorted, *, downsample_rule: str = 'matlab', data_range: float = 1.0,
         return_map: bool = False):
    """FSIM of pairs of images by their luminance; 1 for equal ones, and higher is better.

    `FSIM = sum(S_pc S_g w) / sum(w)`, each `S_f = (2 f_1 f_2 + T) / (f_1^2 + f_2^2 + T)`, `pc` the
    phase congruency, `g` the Scharr gradient magnitude, and `w = max(pc_1, pc_2)`.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3; of colour, the Y of YIQ.
        distorted: The same shape.
        downsample_rule: How images of more than 383 pixels are reduced: 'matlab' as the authors,
            'crop' as piq and pyiqa, which lose a ragged edge; see `ops.downsample`.
        data_range: The value of white.
        return_map: Also return the local similarity.

    Returns:
        Scores `*b` in [0, 1]; with `return_map` a pair of them and the map, `*b h/F w/F`.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Zhang, Zhang, Mou, Zhang: FSIM: A Feature Similarity Index for Image Quality Assessment,
        IEEE TIP 20(8), 2011, Eqs. 3 to 6 and the authors' FeatureSIM.m.

    Notes:
        Flat images have no phase congruency, where the authors' code divides 0 by 0; two of them
        are compared with equal weights.
    """
    pair = check_pair(reference, distorted, data_range=data_range)
    planes = _planes(pair, YIQ_MATRICES['three_digits'][:1], downsample_rule)[0]
    return _score(*_similarity(planes), return_map)


def fsimc(reference, distorted, *, yiq_digits: str = 'three_digits',
          negative_chroma: str = 'real', downsample_rule: str = 'matlab', data_range: float = 1.0,
          return_map: bool = False):
    """FSIMc of pairs of colour images: FSIM's similarity times that of the chroma.

    `FSIMc = sum(S_pc S_g (S_I S_Q)^0.03 w) / sum(w)`, I and Q the chroma of YIQ.

    Args:
        reference: `*b h w 3`, floats in [0, data_range].
        distorted: The same shape.
        yiq_digits: The matrix of YIQ, see `ops.colour.YIQ_MATRICES`: 'three_digits' as the authors,
            'four_digits' as piq and pyiqa.
        negative_chroma: What a power of `S_I S_Q` below 0 is: its 'real' part as the authors, or
            the power of the 'absolute' value as piq and pyiqa.
        downsample_rule: As in `fsim`.
        data_range: The value of white.
        return_map: As in `fsim`.

    Returns:
        As `fsim`.

    Raises:
        InputError: As `fsim`, and on an unknown option.

    Source:
        As `fsim`, Eqs. 7 to 10.
    """
    check_choice('yiq_digits', yiq_digits, YIQ_MATRICES)
    check_choice('negative_chroma', negative_chroma, NEGATIVE_CHROMA)
    pair = check_pair(reference, distorted, data_range=data_range, channels=3)
    luma, *chroma = _planes(pair, YIQ_MATRICES[yiq_digits], downsample_rule)
    alike, weight = _similarity(luma)
    product = 1.0
    for plane in chroma:
        product = product * similarity(plane[0], plane[1], CHROMA_CONSTANT)
    product = jnp.abs(product) if negative_chroma == 'absolute' else product
    return _score(alike * real_power(product, CHROMA_EXPONENT), weight, return_map)


def _planes(pair, matrix, downsample_rule: str) -> list:
    """A mix of the channels each, `2 *b h/F w/F` on the scale of 0 to 255."""
    check_choice('downsample_rule', downsample_rule, RULES)
    factor = downsample_factor(*pair[0].shape[-3:-1], rule=downsample_rule)
    mixes = [mixed_planes(255 * image, matrix) if image.shape[-1] == 3 else [255 * image]
             for image in pair]
    return [jnp.stack([mean_downsample(plane, factor, rule=downsample_rule)[..., 0]
                       for plane in planes]) for planes in zip(*mixes, strict=True)]


def _similarity(luma):
    """The similarity of the features of `2 *b h w`, and its weight."""
    phase = phase_congruency(luma)
    gradient = gradient_magnitude(luma[..., None], kernel='scharr', padding='zero')[..., 0]
    alike = (similarity(phase[0], phase[1], PHASE_CONSTANT)
             * similarity(gradient[0], gradient[1], GRADIENT_CONSTANT))
    return alike, jnp.maximum(phase[0], phase[1])


def _score(alike, weight, return_map: bool):
    score = weighted_mean(alike, weight)
    return (score, alike) if return_map else score

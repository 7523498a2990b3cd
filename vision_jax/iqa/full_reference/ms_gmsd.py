"""MS-GMSD and MS-GMSDc: GMSD on four scales, with masking, and with the chroma."""

import jax.numpy as jnp

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import YIQ_MATRICES, mixed_planes
from vision_jax.ops.downsample import RAGGED, halve
from vision_jax.ops.filters import gradient_magnitude, safe_sqrt
from vision_jax.ops.similarity import dissimilarity

# Zhang 2017, section 3, as piq and piqa quote them: the scales' weights from fine to coarse, the
# masking alpha, and beta_1 to beta_3 of the chroma; T and the chroma on the scale of 0 to 255.
WEIGHTS = (0.096, 0.596, 0.289, 0.019)
MASKING, CONSTANT = 0.5, 170.0
CHROMA_WEIGHT, GATE_WEIGHT, GATE_SLOPE = 0.01, 0.32, 15.0
MIN_SIDE = 2 ** len(WEIGHTS) + 1
DEVIATIONS = ('sample', 'population')


def ms_gmsd(reference, distorted, *, deviation: str = 'population', ragged: str = 'zero',
            data_range: float = 1.0):
    """MS-GMSD of pairs of images by their luminance; 0 for equal ones, and lower is better.

    `sqrt(sum_j w_j var(S_j))`, `S = ((2 - a) g_1 g_2 + T) / (g_1^2 + g_2^2 - a g_1 g_2 + T)`, g the
    Prewitt gradient magnitude at scale j; each scale halves the one before by 2 by 2 means.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3; of colour, the Y of YIQ.
        distorted: The same shape.
        deviation: Of the 'population' as piq, or of a 'sample' (n - 1) as piqa and GMSD.m.
        ragged: What a last odd row or column is reduced to, see `ops.downsample.halve`: 'zero' as
            piq and GMSD.m, or 'repeat' as piqa.
        data_range: The value of white.

    Returns:
        Scores `*b`.

    Raises:
        InputError: On a wrong shape, dtype or range, a side under 17, or an unknown option.

    Source:
        Zhang, Sander, Bermak: Gradient Magnitude Similarity Deviation on Multiple Scales for Color
        Image Quality Assessment, ICASSP 2017.
    """
    check_choice('deviation', deviation, DEVIATIONS)
    check_choice('ragged', ragged, RAGGED)
    pair = check_pair(reference, distorted, data_range=data_range, min_side=MIN_SIDE)
    luma = jnp.stack([
        255 * (mixed_planes(image, YIQ_MATRICES['three_digits'][:1])[0]
               if image.shape[-1] == 3 else image) for image in pair])
    return _luma_score(luma, deviation, ragged)


def ms_gmsdc(reference, distorted, *, yiq_digits: str = 'four_digits',
             deviation: str = 'population', ragged: str = 'zero', data_range: float = 1.0):
    """MS-GMSDc of pairs of colour images: MS-GMSD and, where that is small, the chroma's error.

    `g MS + (1 - g) b_1 R`, `g = 2 / (1 + b_2 exp(-b_3 MS)) - 1`, R the root of the summed mean
    squared errors of I and Q at the coarsest scale.

    Args:
        reference: `*b h w 3`, floats in [0, data_range].
        distorted: The same shape.
        yiq_digits: The matrix of YIQ, see `ops.colour.YIQ_MATRICES`; 'four_digits' as piq.
        deviation: As in `ms_gmsd`.
        ragged: As in `ms_gmsd`.
        data_range: The value of white.

    Returns:
        Scores `*b`.

    Raises:
        InputError: As `ms_gmsd`.

    Source:
        As `ms_gmsd`. That the chroma is compared at the coarsest scale is piq's reading.
    """
    check_choice('yiq_digits', yiq_digits, YIQ_MATRICES)
    check_choice('deviation', deviation, DEVIATIONS)
    check_choice('ragged', ragged, RAGGED)
    pair = check_pair(reference, distorted, data_range=data_range, channels=3, min_side=MIN_SIDE)
    mixes = [mixed_planes(255 * image, YIQ_MATRICES[yiq_digits]) for image in pair]
    luma, *chroma = zip(*mixes, strict=True)
    score = _luma_score(jnp.stack(luma), deviation, ragged)
    squared = 0.0
    for one, other in chroma:
        error = one - other
        for _ in WEIGHTS[1:]:
            error = halve(error, ragged=ragged)
        squared = squared + (error * error).mean((-3, -2, -1))
    gate = 2 / (1 + GATE_WEIGHT * jnp.exp(-GATE_SLOPE * score)) - 1
    return gate * score + (1 - gate) * CHROMA_WEIGHT * safe_sqrt(squared)


def _luma_score(luma, deviation: str, ragged: str):
    """Of both images `2 *b h w 1` on the scale of 0 to 255."""
    total = 0.0
    for scale, weight in enumerate(WEIGHTS):
        luma = halve(luma, ragged=ragged) if scale else luma
        gradient = gradient_magnitude(luma, kernel='prewitt', padding='zero')
        unlike = dissimilarity(gradient[0], gradient[1], CONSTANT, masking=MASKING)
        mean = unlike.mean((-3, -2), keepdims=True)
        count = unlike.shape[-3] * unlike.shape[-2] - (deviation == 'sample')
        total = total + weight * ((unlike - mean) ** 2).sum((-3, -2, -1)) / count
    return safe_sqrt(total)

"""GMSD: the deviation of the similarity of gradient magnitudes."""

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import GREY_RULES, to_grey
from vision_jax.ops.downsample import halve
from vision_jax.ops.filters import gradient_magnitude, safe_sqrt
from vision_jax.ops.similarity import dissimilarity

CONSTANT = 170.0 / 255 ** 2  # Xue 2014, section II.B: 170 on the scale of 0 to 255
COLOURS = (*GREY_RULES, 'each')
DEVIATIONS = ('sample', 'population')


def gmsd(reference, distorted, *, colour: str = 'matlab', ragged: str = 'zero',
         deviation: str = 'sample', data_range: float = 1.0, return_map: bool = False):
    """GMSD of pairs of images; 0 for equal ones, and lower is better.

    `GMSD = std(S)`, `S = (2 g_1 g_2 + T) / (g_1^2 + g_2^2 + T)`, g the Prewitt gradient magnitude
    of the images reduced by 2.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3.
        distorted: The same shape.
        colour: How colour becomes grey, a rule of `ops.colour.to_grey`: 'matlab' for rgb2gray,
            'bt601' for the Y of piq and piqa, 'bt601_uint8' for pyiqa's. Or 'each': every channel
            alone, the scores averaged, as OpenCV does with the population's deviation.
        ragged: What a last odd row or column is reduced to, see `ops.downsample.halve`: 'zero' as
            the authors and piq, 'repeat' as piqa, 'crop' as pyiqa.
        deviation: Of a 'sample' (n - 1) as MATLAB's std2, or of the 'population' as piq.
        data_range: The value of white.
        return_map: Also return the local similarity S.

    Returns:
        Scores `*b`; with `return_map` a pair of them and S, `*b ceil(h/2) ceil(w/2)`, for 'each'
        with a last axis of channels.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown option.

    Source:
        Xue, Zhang, Mou, Bovik: Gradient Magnitude Similarity Deviation, IEEE TIP 23(2), 2014,
        Eqs. 1 to 6, and the authors' GMSD.m.
    """
    check_choice('colour', colour, COLOURS)
    check_choice('deviation', deviation, DEVIATIONS)
    pair = check_pair(reference, distorted, data_range=data_range)
    if colour != 'each':
        pair = [to_grey(image, rule=colour) for image in pair]
    gradients = [gradient_magnitude(halve(image, ragged=ragged), kernel='prewitt', padding='zero')
                 for image in pair]
    unlike = dissimilarity(*gradients, CONSTANT)  # [*b, h/2, w/2, c]
    mean = unlike.mean((-3, -2), keepdims=True)
    height, width = unlike.shape[-3:-1]
    count = height * width - (deviation == 'sample')
    variance = ((unlike - mean) ** 2).sum((-3, -2)) / count
    score = safe_sqrt(variance).mean(-1)
    if not return_map:
        return score
    return score, 1 - (unlike if colour == 'each' else unlike[..., 0])

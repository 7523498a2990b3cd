"""VSI: a visual saliency-induced index for perceptual image quality assessment.

`vsi` scores pairs. What it needs of one image is `image_terms`, so a reference that is compared
with many distorted versions is analysed once: `vsi_from_terms(image_terms(reference), ...)`.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_image, check_pair, check_same_shape
from vision_jax.ops.colour import mix_channels, rgb_to_lab
from vision_jax.ops.downsample import RULES, downsample_factor, mean_downsample
from vision_jax.ops.filters import gradient_magnitude, safe_sqrt
from vision_jax.ops.resize import CONVENTIONS, resize
from vision_jax.ops.similarity import real_power, similarity, weighted_mean

# Zhang 2014, section IV.B, on the scale of 0 to 255 (saliency: of 0 to 1).
SALIENCY_CONSTANT, GRADIENT_CONSTANT, CHROMA_CONSTANT = 1.27, 386.0, 130.0
GRADIENT_EXPONENT, CHROMA_EXPONENT = 0.40, 0.020
# Zhang 2014, Eq. 9: luminance and two opponent colours.
RGB_TO_LMN = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
# SDSP (Zhang, Gu, Li 2013) with the constants of the authors' VSI code.
SALIENCY_SIDE = 256
CENTRE_FREQUENCY, LOG_BANDWIDTH, CENTRE_SIGMA, WARM_SIGMA = 0.021, 1.34, 145.0, 0.001
# Lab units under which a range is rounding noise: an 8-bit step of grey moves `a` by 6e-3 or more.
FLAT_RANGE = 1e-3


class ImageTerms(NamedTuple):
    """What VSI compares of an image; each `*b h/F w/F`, F the down-sampling factor.

    Attributes:
        saliency: SDSP visual saliency in [0, 1].
        gradient: Scharr gradient magnitude of the luminance, on the scale of 0 to 255.
        first_chroma: The opponent colour M, on the scale of 0 to 255.
        second_chroma: The opponent colour N.
    """

    saliency: jnp.ndarray
    gradient: jnp.ndarray
    first_chroma: jnp.ndarray
    second_chroma: jnp.ndarray


def vsi(reference, distorted, *, resize_rule: str = 'matlab', downsample_rule: str = 'matlab',
        data_range: float = 1.0, return_map: bool = False):
    """VSI of pairs of colour images; 1 for equal ones, and higher is better.

    `VSI = sum(S w) / sum(w)`, `S = S_saliency S_gradient^0.4 (S_M S_N)^0.02`, each
    `S_f = (2 f_1 f_2 + C) / (f_1^2 + f_2^2 + C)`, and `w = max(saliency_1, saliency_2)`.

    Args:
        reference: `*b h w 3`, floats in [0, data_range].
        distorted: The same shape.
        resize_rule: How the saliency's input and output are resized. 'matlab', as the authors:
            `imresize`, bilinear with antialiasing. 'torch': no antialiasing down, aligned corners
            up, with which piq's and pyiqa's values are reproduced.
        downsample_rule: 'matlab' as the authors, or 'pool' as piq; see `ops.downsample`.
        data_range: The value of white.
        return_map: Also return the local similarity S.

    Returns:
        Scores `*b` in [0, 1]; with `return_map` a pair of them and S, `*b h/F w/F`.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Zhang, Shen, Li: VSI: A Visual Saliency-Induced Index for Perceptual Image Quality
        Assessment, IEEE TIP 23(10), 2014, Eqs. 6 to 14; constants from section IV.B.

    Notes:
        Where the authors' code divides 0 by 0: a flat image has the saliency 0 everywhere, and two
        flat images are compared with equal weights. S_M S_N below 0 has the real part of its power,
        `|x|^0.02 cos(0.02 pi)`, as theirs.
    """
    pair = check_pair(reference, distorted, data_range=data_range, channels=3)
    terms = [_terms(image, resize_rule, downsample_rule) for image in pair]
    return vsi_from_terms(*terms, return_map=return_map)


def vsi_from_terms(reference: ImageTerms, distorted: ImageTerms, *, return_map: bool = False):
    """VSI of two analysed images, to share a reference's terms over its distorted versions.

    Args:
        reference: From `image_terms`.
        distorted: From `image_terms`, the same shape; `jax.vmap` with `in_axes=(None, 0)` compares
            one reference with many.
        return_map: As in `vsi`.

    Returns:
        As `vsi`.
    """
    check_same_shape('reference', reference.saliency, 'distorted', distorted.saliency)
    gradient, first, second = (
        similarity(a, b, constant) for a, b, constant in zip(
            reference[1:], distorted[1:],
            (GRADIENT_CONSTANT, CHROMA_CONSTANT, CHROMA_CONSTANT), strict=True))
    alike = (
        similarity(reference.saliency, distorted.saliency, SALIENCY_CONSTANT)
        * jnp.exp(GRADIENT_EXPONENT * jnp.log(gradient))
        * real_power(first * second, CHROMA_EXPONENT))
    score = weighted_mean(alike, jnp.maximum(reference.saliency, distorted.saliency))
    return (score, alike) if return_map else score


def image_terms(image, *, resize_rule: str = 'matlab',
                downsample_rule: str = 'matlab') -> ImageTerms:
    """Saliency, gradient and chroma of an image, as `vsi_from_terms` takes them.

    Args:
        image: `*b h w 3`, floats in [0, 1].
        resize_rule: As in `vsi`.
        downsample_rule: As in `vsi`.

    Returns:
        The terms, each `*b h/F w/F`.
    """
    check_image('image', image, channels=3)
    return _terms(jnp.asarray(image), resize_rule, downsample_rule)


def visual_saliency(image, *, resize_rule: str = 'matlab'):
    """SDSP saliency in [0, 1]: band-pass energy x nearness to the centre x warmth of the colour.

    Args:
        image: `*b h w 3`, floats in [0, 1].
        resize_rule: As in `vsi`; the map is computed at 256 by 256 and resized back.

    Returns:
        `*b h w`, stretched to [0, 1]; all 0 for a flat image.

    Source:
        Zhang, Gu, Li: SDSP: a novel saliency detection method by combining simple priors, ICIP
        2013, Eqs. 1 to 8. The Lab white is D50 with the D65 matrix, as in the authors' code.
    """
    check_image('image', image, channels=3)
    return _saliency(_planes(jnp.asarray(image)), resize_rule)[..., 0]


def _terms(image, resize_rule: str, downsample_rule: str) -> ImageTerms:
    check_choice('downsample_rule', downsample_rule, RULES)
    planes = _planes(image)  # [*b, 3, h, w, 1]
    factor = downsample_factor(*image.shape[-3:-1], rule=downsample_rule)
    saliency = mean_downsample(_saliency(planes, resize_rule), factor, rule=downsample_rule)
    opponent = mix_channels(planes, 255 * np.array(RGB_TO_LMN), axis=-4)
    opponent = mean_downsample(opponent, factor, rule=downsample_rule)
    luminance, first, second = (opponent[..., i, :, :, :] for i in range(3))
    gradient = gradient_magnitude(luminance, kernel='scharr', padding='zero')
    return ImageTerms(*(term[..., 0] for term in (saliency, gradient, first, second)))


def _planes(image):
    """Channels first, each plane an image of one channel: contiguous rows for the filters."""
    return jnp.moveaxis(image, -1, -3)[..., None]  # [*b, 3, h, w, 1]


def _saliency(planes, resize_rule: str):
    """SDSP of `*b 3 h w 1`, as `*b h w 1`."""
    check_choice('resize_rule', resize_rule, CONVENTIONS)
    side = (SALIENCY_SIDE, SALIENCY_SIDE)
    lab = rgb_to_lab(resize(planes, side, convention=resize_rule), white_point='D50', axis=-4)
    lab = lab[..., 0]  # [*b, 3, 256, 256]
    spectrum = jnp.fft.rfft2(lab) * _constant(_log_gabor(), lab)
    band = jnp.fft.irfft2(spectrum, s=side)
    energy = safe_sqrt((band * band).sum(-3))
    warmth = _stretch(lab[..., 1:, :, :])
    distance = (warmth * warmth).sum(-3) / WARM_SIGMA ** 2
    raw = energy * _constant(_centre_prior(), energy) * -jnp.expm1(-distance)
    back = resize(raw[..., None], planes.shape[-3:-1], convention=resize_rule,
                  align_corners=resize_rule == 'torch')
    return _stretch(back[..., 0])[..., None]


def _stretch(plane):
    """Maps each plane's range to [0, 1]; a flat plane to 0."""
    low = plane.min((-2, -1), keepdims=True)
    span = plane.max((-2, -1), keepdims=True) - low
    varied = span > FLAT_RANGE
    return jnp.where(varied, (plane - low) / jnp.where(varied, span, 1.0), 0.0)


def _constant(array: np.ndarray, like):
    """A static map as `like`'s dtype and rank."""
    return jnp.asarray(array, like.dtype).reshape((1,) * (like.ndim - array.ndim) + array.shape)


@functools.cache
def _log_gabor() -> np.ndarray:
    """The band-pass filter on the half plane of `rfft2`: a Gaussian of the log frequency."""
    down = np.fft.fftfreq(SALIENCY_SIDE)[:, None]
    across = np.fft.rfftfreq(SALIENCY_SIDE)[None, :]
    radius = np.hypot(down, across)
    inside = (radius > 0) & (radius <= 0.5)
    log_ratio = np.log(np.where(inside, radius, 1.0) / CENTRE_FREQUENCY)
    return np.where(inside, np.exp(-log_ratio ** 2 / (2 * LOG_BANDWIDTH ** 2)), 0.0)


@functools.cache
def _centre_prior() -> np.ndarray:
    """`exp(-distance^2 / 145^2)` from pixel 128 of 1 to 256: half a pixel off the middle."""
    offset = np.arange(1, SALIENCY_SIDE + 1) - SALIENCY_SIDE / 2
    return np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / CENTRE_SIGMA ** 2)

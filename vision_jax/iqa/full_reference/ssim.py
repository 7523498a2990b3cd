"""SSIM: the structural similarity index."""

import jax.numpy as jnp

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.ops.colour import colour_planes
from vision_jax.ops.downsample import downsample_factor, mean_downsample
from vision_jax.ops.filters import PADDINGS
from vision_jax.ops.moments import WINDOWS, local_moments, window_taps

# Ours -> the rule of ops.downsample.
DOWNSAMPLINGS = {'none': None, 'auto': 'imfilter', 'pool': 'crop'}
COVARIANCES = ('population', 'sample')


def ssim(reference, distorted, *, colour: str = 'matlab', downsample: str = 'none',
         window: str = 'gaussian', window_size: int = 11, sigma: float = 1.5,
         covariance: str = 'population', padding: str = 'valid', k1: float = 0.01,
         k2: float = 0.03, data_range: float = 1.0, return_map: bool = False):
    """SSIM of pairs; 1 for equal images, and higher is better.

    `SSIM = mean((2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)))` of
    means `m`, variances `s^2` and covariance `s_xy` in a sliding window, `C = (k data_range)^2`.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour, at least `window_size` a
            side.
        distorted: The same shape.
        colour: A rule of `ops.colour.to_grey`, or 'each': the mean over channels, as TensorFlow,
            piq, pytorch-msssim, torchmetrics, OpenCV and dm-pix have it.
        downsample: 'none' as the authors' ssim_index.m of 2003 and most packages. 'auto' as their
            ssim.m of 2009: first by `max(1, round(min(h, w) / 256))`. 'pool' as piq by default,
            which differs from 'auto' on odd sizes.
        window: 'gaussian' or 'uniform'.
        window_size: Side of the window in pixels.
        sigma: Of the Gaussian, in pixels.
        covariance: 'population', or 'sample' (scikit-image's default), which is n / (n - 1) times
            that.
        padding: 'valid' averages where the window lies inside the image, as the authors do;
            'reflect' and others of `ops.filters` average all pixels (torchmetrics, OpenCV).
        k1: Of the constant C1, over 0.
        k2: Of the constant C2, over 0.
        data_range: The value of white.
        return_map: Also return the local index.

    Returns:
        Scores `*b` in [-1, 1]; with `return_map` a pair of them and the map, `*b h' w'`, the mean
        over channels.

    Raises:
        InputError: On a wrong shape, dtype or range, an image under the window, an unknown name.

    Source:
        Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to
        structural similarity, IEEE TIP 13(4), 2004, Eq. 13; the authors' ssim_index.m.

    Notes:
        scikit-image's defaults are `window='uniform', window_size=7, covariance='sample'`.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=window_size)
    local = ssim_map(*pair, colour=colour, downsample=downsample, window=window,
                     window_size=window_size, sigma=sigma, covariance=covariance, padding=padding,
                     k1=k1, k2=k2)
    score = local.mean((-3, -2, -1))
    return (score, local.mean(-3)) if return_map else score


def ssim_map(reference, distorted, *, colour: str = 'matlab', downsample: str = 'none',
             window: str = 'gaussian', window_size: int = 11, sigma: float = 1.5,
             covariance: str = 'population', padding: str = 'valid', k1: float = 0.01,
             k2: float = 0.03, factor: int | None = None):
    """The local index of two checked images, `*b p h' w'`, with `p` planes of colour.

    Args:
        reference: `*b h w c` in [0, 1].
        distorted: The same shape.
        colour: As in `ssim`.
        downsample: As in `ssim`.
        window: As in `ssim`.
        window_size: As in `ssim`.
        sigma: As in `ssim`.
        covariance: As in `ssim`.
        padding: As in `ssim`.
        k1: As in `ssim`.
        k2: As in `ssim`.
        factor: That of the down-sampling, where the images are part of larger ones.
    """
    check_choice('covariance', covariance, COVARIANCES)
    check_choice('downsample', downsample, DOWNSAMPLINGS)
    planes = [colour_planes(image, rule=colour) for image in (reference, distorted)]
    rule = DOWNSAMPLINGS[downsample]
    if rule:
        factor = factor or downsample_factor(*planes[0].shape[-2:], rule=rule)
        planes = [mean_downsample(plane[..., None], factor, rule=rule)[..., 0] for plane in planes]
    count = window_size ** 2
    luminance, structure = similarities(
        *planes, window=window, window_size=window_size, sigma=sigma, padding=padding, k1=k1, k2=k2,
        scale=count / (count - 1) if covariance == 'sample' else 1.0)
    return luminance * structure


def similarities(first, second, *, window: str = 'gaussian', window_size: int = 11,
                 sigma: float = 1.5, padding: str = 'valid', k1: float = 0.01, k2: float = 0.03,
                 scale: float = 1.0, centre: float = 0.5):
    """The two factors of SSIM: of the means, and of contrast and structure.

    Args:
        first: `*b h w` in [0, 1].
        second: The same shape.
        window: As in `ssim`.
        window_size: As in `ssim`.
        sigma: As in `ssim`.
        padding: As in `ssim`.
        k1: As in `ssim`.
        k2: As in `ssim`.
        scale: Of the variances.
        centre: As in `ops.moments.local_moments`.

    Returns:
        (luminance, contrast-structure), each `*b h' w'`.

    Raises:
        InputError: On an unknown name, or a constant that is not over 0.
    """
    check_choice('window', window, WINDOWS)
    check_choice('padding', padding, ('valid', *PADDINGS))
    if not (k1 > 0 and k2 > 0):
        raise InputError(f'k1 and k2: expected numbers over 0, got {k1} and {k2}')
    if not (window_size > 1 and sigma > 0):
        raise InputError(f'window_size, sigma: expected over 1 and over 0, '
                         f'got {window_size} and {sigma}')
    moments = local_moments(first, second, window_taps(window, window_size, sigma),
                            padding=padding, centre=centre)
    luminance = _ratio(moments.first_mean * moments.second_mean,
                       moments.first_mean ** 2 + moments.second_mean ** 2, k1 ** 2)
    structure = _ratio(scale * moments.covariance, scale * moments.variances, k2 ** 2)
    return luminance, structure


def _ratio(product, squares, constant: float) -> jnp.ndarray:
    return (2 * product + constant) / (squares + constant)

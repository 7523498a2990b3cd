"""CW-SSIM: structural similarity of complex wavelet coefficients, blind to small shifts."""

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.core.errors import InputError
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import filter_separable, gaussian_kernel
from vision_jax.ops.pyramids import frequency_bands

WINDOW = 7  # a box, in coefficients
SPREAD = 1 / 4  # of the pooling Gaussian, in heights of a subband
WHITE = 255.0
# Mean squared coefficients under this, on the scale of 0 to 255, are rounding noise.
NOTHING = 1e-6


def cw_ssim(reference, distorted, *, levels: int = 4, orientations: int = 8, guard: int = 0,
            k: float = 0.0, colour: str = 'matlab', data_range: float = 1.0):
    """CW-SSIM of pairs of images; 1 for equal ones, and higher is better.

    `S = (2 |sum c_1 conj(c_2)| + K) / (sum |c_1|^2 + sum |c_2|^2 + K)` over windows of 7 by 7
    coefficients of the coarsest level, pooled with a Gaussian weight, averaged over orientations.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3; sides of at least
            `2^(levels + 2)`, and of 7 coefficients at the coarsest level.
        distorted: The same shape.
        levels: Of the complex steerable pyramid; its last one is compared.
        orientations: Of the pyramid.
        guard: Pixels left out along the borders; divided by `2^(levels - 1)` and rounded down.
        k: K, on the scale of squared coefficients of images in 0 to 255.
        colour: See `ops.colour.to_grey`; 'bt601' as pyiqa.
        data_range: The value of white.

    Returns:
        Scores `*b` in [0, 1].

    Raises:
        InputError: On a wrong shape, dtype or range, or images too small for the levels.

    Source:
        Sampat, Wang, Gupta, Bovik, Markey: Complex wavelet structural similarity: a new image
        similarity index, IEEE TIP 18(11), 2009, Eq. 6; constants of the authors' cwssim_index.m.
        The demonstration with 6 levels and 16 orientations is that of the MATLAB Central version.

    Notes:
        With K = 0 the code divides 0 by 0 where both images have no coefficients: such windows
        count as equal, S = 1.
    """
    reference, distorted = check_pair(reference, distorted, data_range=data_range, min_side=16)
    if levels < 1 or orientations < 1 or guard < 0:
        raise InputError('levels, orientations, guard: expected at least 1, 1 and 0, got '
                         f'{levels}, {orientations}, {guard}')
    first, second = (
        _coefficients(to_grey(image, rule=colour)[..., 0], levels, orientations, guard)
        for image in (reference, distorted))
    return _similarity(first, second, k, first.shape[-2])


def _coefficients(plane, levels: int, orientations: int, guard: int):
    """The coarsest bands, `*b o h' w'`."""
    # the bands are blind to the mean, and float32 sees more without it
    centred = WHITE * (plane - plane.mean((-2, -1), keepdims=True))
    bands = frequency_bands(centred, level=levels, orientations=orientations, analytic=True)
    cut = guard // 2 ** (levels - 1)
    height, width = bands.shape[-2:]
    if min(height, width) - 2 * cut < WINDOW:
        raise InputError(f'reference: {levels} levels and a guard of {guard} leave less than '
                         f'{WINDOW} coefficients, got shape {plane.shape}')
    return bands[..., cut:height - cut, cut:width - cut]


def _similarity(first, second, k: float, height: int):
    product = first * second.conj()
    power = _windows(_squared(first) + _squared(second))
    # |x| = sqrt(re^2 + im^2), scaled by the power so that no square under- or overflows
    varied = power > NOTHING
    scale = jnp.where(varied, power, 1.0)
    real, imaginary = (_windows(part) / scale for part in (product.real, product.imag))
    squared = real * real + imaginary * imaginary
    related = varied & (squared > 0)
    modulus = jnp.where(related, jnp.sqrt(jnp.where(related, squared, 1.0)), 0.0)
    similarity = (2 * modulus + k / scale) / (1 + k / scale)
    similarity = jnp.where(varied, similarity, 1.0)
    weight = np.outer(*(gaussian_kernel(height * SPREAD, size=side)
                        for side in similarity.shape[-2:]))
    weight = jnp.asarray(weight, similarity.dtype)
    return jnp.einsum('...ohw,hw->...o', similarity, weight, precision='highest').mean(-1)


def _squared(band):
    return band.real * band.real + band.imag * band.imag


def _windows(planes):
    taps = np.full(WINDOW, 1 / WINDOW)
    return filter_separable(planes[..., None], taps, taps, padding='valid')[..., 0]

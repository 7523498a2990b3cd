"""Means, variances and covariances of two planes under a sliding window."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vision_jax.ops.filters import filter_separable, gaussian_kernel, pad_image

WINDOWS = ('gaussian', 'uniform')


class LocalMoments(NamedTuple):
    """Moments of two planes at every place of the window, each `*b h' w'`.

    Attributes:
        first_mean: Weighted mean of the first plane.
        second_mean: Of the second.
        variances: The sum of both variances.
        covariance: Of the two.
    """

    first_mean: jnp.ndarray
    second_mean: jnp.ndarray
    variances: jnp.ndarray
    covariance: jnp.ndarray


def window_taps(window: str, size: int, sigma: float) -> np.ndarray:
    """The taps of a separable window, with the sum 1.

    Args:
        window: 'gaussian' or 'uniform'.
        size: How many taps.
        sigma: Of the Gaussian, in pixels.
    """
    return gaussian_kernel(float(sigma), size=size) if window == 'gaussian' else np.full(
        size, 1 / size)


def local_moments(first, second, taps, *, padding: str = 'valid',
                  centre: float = 0.5) -> LocalMoments:
    """Moments under the window `outer(taps, taps)`, by `E[x^2] - E[x]^2`.

    Four filters, not five: who compares two images needs only the sum of their variances.

    Args:
        first: `*b h w`.
        second: The same shape.
        taps: Of the window, with the sum 1.
        padding: 'valid', or as in `ops.filters.pad_image`.
        centre: A value in the middle of the planes' range. It is taken off before squaring, or the
            difference of two large numbers would lose the digits of a small variance in float32.

    Returns:
        The moments, smaller by `len(taps) - 1` when 'valid'.
    """
    margin = ((len(taps) - 1) // 2, len(taps) // 2)
    planes = []
    for plane in (first, second):
        plane = plane[..., None]
        if padding != 'valid':
            plane = pad_image(plane, rows=margin, columns=margin, padding=padding)
        planes.append(plane - centre)
    x, y = planes
    x_mean, y_mean, squares, product = (
        filter_separable(plane, taps, taps, padding='valid')[..., 0]
        for plane in (x, y, x * x + y * y, x * y))
    return LocalMoments(x_mean + centre, y_mean + centre,
                        squares - x_mean * x_mean - y_mean * y_mean, product - x_mean * y_mean)

"""UQI: the universal image quality index, SSIM's forerunner without constants."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.ops.colour import colour_planes
from vision_jax.ops.moments import WINDOWS, window_taps

# Variances of images in [0, 1] under which a window is flat but for rounding: one 8-bit step in one
# of 64 pixels makes 2e-7.
FLAT_VARIANCE = 1e-14


class WindowSums(NamedTuple):
    """Of two planes in a window, each `*b h' w'`.

    Attributes:
        first_mean: Mean of the first.
        second_mean: Of the second.
        squares: Sum (or weighted mean) of the squared deviations of both from their means.
        products: Of the products of the deviations.
    """

    first_mean: jnp.ndarray
    second_mean: jnp.ndarray
    squares: jnp.ndarray
    products: jnp.ndarray


def uqi(reference, distorted, *, colour: str = 'matlab', window: str = 'uniform',
        window_size: int = 8, sigma: float = 1.5, data_range: float = 1.0,
        return_map: bool = False):
    """UQI of pairs; 1 for equal images, and higher is better.

    `Q = mean(2 s_xy / (s_x^2 + s_y^2) * 2 m_x m_y / (m_x^2 + m_y^2))` of means `m`, variances `s^2`
    and covariance `s_xy` in a sliding window.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour, at least `window_size` a
            side.
        distorted: The same shape.
        colour: A rule of `ops.colour.to_grey`, or 'each' for the mean over channels.
        window: 'uniform', or 'gaussian' (torchmetrics, with `window_size=11` and `colour='each'`).
        window_size: Side of the window in pixels.
        sigma: Of the Gaussian, in pixels.
        data_range: The value of white.
        return_map: Also return the local index.

    Returns:
        Scores `*b` in [-1, 1]; with `return_map` a pair of them and the map, `*b h' w'`, the mean
        over channels.

    Raises:
        InputError: On a wrong shape, dtype or range, or an image under the window.

    Source:
        Wang, Bovik: A universal image quality index, IEEE SPL 9(3), 2002, Eq. 2; the special cases
        of the authors' img_qi.m: where both windows are flat the first factor is 1, where both are
        black the second too.

    Notes:
        Without a constant beside it a small variance needs its digits, which `E[x^2] - E[x]^2`
        loses in float32. So sums of squares are built up from pairs of windows,
        `S_1 + S_2 + (m_1 - m_2)^2 n / 2`, and those of the Gaussian from differences to its centre.
        torchmetrics scores 0 where both windows are flat.
    """
    if window_size < 2:
        raise InputError(f'window_size: expected at least 2, got {window_size}')
    pair = check_pair(reference, distorted, data_range=data_range, min_side=window_size)
    local = uqi_map(*pair, colour=colour, window=window, window_size=window_size, sigma=sigma)
    score = local.mean((-3, -2, -1))
    return (score, local.mean(-3)) if return_map else score


def uqi_map(reference, distorted, *, colour: str = 'matlab', window: str = 'uniform',
            window_size: int = 8, sigma: float = 1.5):
    """The local index of two checked images, `*b p h' w'`, with `p` planes of colour.

    Args:
        reference: `*b h w c` in [0, 1].
        distorted: The same shape.
        colour: As in `uqi`.
        window: As in `uqi`.
        window_size: As in `uqi`.
        sigma: As in `uqi`.
    """
    check_choice('window', window, WINDOWS)
    planes = [colour_planes(image, rule=colour) for image in (reference, distorted)]
    if window == 'uniform':
        sums, weight = _window_sums(*planes, window_size), window_size ** 2
    else:
        sums, weight = _weighted_sums(*planes, window_taps(window, window_size, sigma)), 1
    flat = sums.squares <= FLAT_VARIANCE * weight
    structure = jnp.where(flat, 1.0, 2 * sums.products / jnp.where(flat, 1.0, sums.squares))
    power = sums.first_mean ** 2 + sums.second_mean ** 2
    lit = power > 0
    luminance = 2 * sums.first_mean * sums.second_mean / jnp.where(lit, power, 1.0)
    return structure * jnp.where(lit, luminance, 1.0)


def _window_sums(first, second, size: int) -> WindowSums:
    zero = jnp.zeros_like(first)
    sums = WindowSums(first, second, zero, zero)
    for axis, rows in ((-2, 1), (-1, size)):
        sums = _grow(sums, size, axis, rows)
    return sums


def _weighted_sums(first, second, taps) -> WindowSums:
    zero = jnp.zeros_like(first)
    sums = WindowSums(first, second, zero, zero)
    for axis in (-2, -1):
        sums = _weigh(sums, taps, axis)
    return sums


def _weigh(sums: WindowSums, taps, axis: int) -> WindowSums:
    """The moments of windows along `axis`, weighted by `taps`, of those of their places."""
    count = sums.first_mean.shape[axis] - len(taps) + 1
    places = [[jax.lax.slice_in_dim(part, start, start + count, axis=axis % part.ndim)
               for part in sums] for start in range(len(taps))]
    centre = places[len(taps) // 2]
    first = second = squares = products = 0.0
    for tap, place in zip(map(float, taps), places, strict=True):
        x, y = place[0] - centre[0], place[1] - centre[1]
        first, second = first + tap * x, second + tap * y
        squares = squares + tap * (place[2] + x * x + y * y)
        products = products + tap * (place[3] + x * y)
    return WindowSums(centre[0] + first, centre[1] + second,
                      jnp.maximum(squares - first * first - second * second, 0.0),
                      products - first * second)


def _grow(sums: WindowSums, size: int, axis: int, others: int) -> WindowSums:
    """Windows of `size` pixels along `axis`, of windows of one, by the binary digits of `size`."""
    doubled, length, whole, covered = sums, 1, None, 0
    while True:
        if size & length:
            whole = doubled if whole is None else _join(whole, covered, doubled, length, axis,
                                                        others)
            covered += length
        length *= 2
        if length > size:
            return whole
        doubled = _join(doubled, length // 2, doubled, length // 2, axis, others)


def _join(near: WindowSums, near_length: int, far: WindowSums, far_length: int, axis: int,
          others: int) -> WindowSums:
    """Windows of the length of both, the far ones beginning where the near ones end."""
    count = far.first_mean.shape[axis] - near_length
    near = [jax.lax.slice_in_dim(part, 0, count, axis=axis % part.ndim) for part in near]
    far = [jax.lax.slice_in_dim(part, near_length, near_length + count, axis=axis % part.ndim)
           for part in far]
    total = near_length + far_length
    first, second = (b - a for a, b in zip(near[:2], far[:2], strict=True))
    share, weight = far_length / total, others * near_length * far_length / total
    return WindowSums(near[0] + share * first, near[1] + share * second,
                      near[2] + far[2] + weight * (first * first + second * second),
                      near[3] + far[3] + weight * first * second)

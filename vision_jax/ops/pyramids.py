"""Image pyramids on planes `*b h w`: steerable in space and in frequency, and Laplacian.

Both steerable pyramids are those of Simoncelli and Freeman (ICIP 1995) as matlabPyrTools builds
them, borders and odd sizes included.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.ops.filters import pad_image
from vision_jax.ops.steerable_filters import HIGH_FIRST, LOW, LOW_FIRST, ORIENTED

# Burt and Adelson 1983, with a = 0.4; and the binomial of the same length.
BURT_ADELSON = (0.05, 0.25, 0.4, 0.25, 0.05)
BINOMIAL = (0.0625, 0.25, 0.375, 0.25, 0.0625)
# Intervals over half a turn or an octave of the tables that matlabPyrTools interpolates in.
_RADIAL_STEPS, _ANGULAR_STEPS = 256, 1024


class SteerablePyramid(NamedTuple):
    """A steerable pyramid.

    Attributes:
        high: What is above the first level, `*b h w`.
        levels: From fine to coarse, each `*b o h/2^i w/2^i`, sizes rounded up.
        low: What is below the last level.
    """

    high: jnp.ndarray
    levels: list[jnp.ndarray]
    low: jnp.ndarray


def steerable_pyramid(planes, *, levels: int,
                      orientations: Sequence[int] = range(6)) -> SteerablePyramid:
    """The steerable pyramid of six orientations in space, by 7x7 filters ('sp5Filters').

    Args:
        planes: `*b h w`; the coarsest level must keep at least 5 rows and columns.
        levels: How many.
        orientations: Which of the six, in steps of 30 degrees: 0 is the derivative across, 3 the
            one down.

    Returns:
        The pyramid, as matlabPyrTools' `buildSpyr(..., 'sp5Filters', 'reflect1')`.

    Raises:
        InputError: If the planes are too small for so many levels.
    """
    _check_side(planes, 5 * 2 ** (levels - 1), levels)
    high, low = correlate(planes, HIGH_FIRST), correlate(planes, LOW_FIRST)
    bands = []
    for _ in range(levels):
        bands.append(jnp.stack([correlate(low, ORIENTED[i]) for i in orientations], axis=-3))
        low = correlate(low, LOW, step=2)
    return SteerablePyramid(high, bands, low)


def correlate(planes, kernel, *, step: int = 1, padding: str = 'reflect'):
    """Correlates planes with an odd kernel, at every `step`-th row and column.

    Args:
        planes: `*b h w`.
        kernel: Static `m n`, both odd; zeros cost nothing.
        step: 1 or more.
        padding: As in `ops.filters.pad_image`; 'reflect' is matlabPyrTools' 'reflect1'.

    Returns:
        `*b ceil(h/step) ceil(w/step)`.
    """
    down, across = (side // 2 for side in kernel.shape)
    padded = pad_image(planes[..., None], rows=(down, down), columns=(across, across),
                       padding=padding)[..., 0]
    height, width = planes.shape[-2:]
    return sum(float(kernel[m, n]) * padded[..., m:m + height:step, n:n + width:step]
               for m, n in np.argwhere(kernel))


def frequency_bands(planes, *, level: int, orientations: int, which: Sequence[int] | None = None,
                    analytic: bool = False):
    """One level of the steerable pyramid that is built in the frequency domain.

    Args:
        planes: `*b h w`, real; at least `2^(level + 2)` on each side.
        level: 1 for the finest.
        orientations: How many the pyramid has.
        which: Those to compute, counted from 0; `None` for all.
        analytic: False for the real bands of `buildSFpyr`; True for the complex ones of
            `buildSCFpyr`, whose real parts they are.

    Returns:
        `*b o h' w'`, each side halved `level - 1` times and rounded up.

    Raises:
        InputError: If the planes are too small for the level.
    """
    _check_side(planes, 2 ** (level + 2), level)
    which = range(orientations) if which is None else which
    shape = planes.shape[-2:]
    masks = np.stack([_band_mask(shape, level, orientations, i, analytic) for i in which])
    spectrum = _low_spectrum(planes, [_sides(side, level)[-1] for side in shape])
    bands = jnp.fft.ifft2(spectrum[..., None, :, :] * _constant(masks, spectrum))
    return bands if analytic else bands.real


def laplacian_pyramid(planes, *, levels: int, taps: Sequence[float] = BURT_ADELSON,
                      padding: str = 'symmetric', fill: str = 'edge') -> list[jnp.ndarray]:
    """Differences between an image and its blurred, halved and doubled form, level by level.

    Args:
        planes: `*b h w`, at least `2^levels` on each side.
        levels: How many, the low-pass rest included, which is the last.
        taps: Five, of the blur before halving; doubled, they interpolate.
        padding: At the borders of the plane that is halved, see `ops.filters.pad_image`.
        fill: At the borders of the half that is doubled, 'edge' or 'reflect'.

    Returns:
        The levels from fine to coarse, each `*b h/2^i w/2^i`, sizes rounded up.

    Raises:
        InputError: If the planes are too small, or a padding is unknown.

    Source:
        Burt, Adelson: The Laplacian pyramid as a compact image code, IEEE Trans. Communications
        31(4), 1983.
    """
    _check_side(planes, 2 ** levels, levels)
    differences = []
    for _ in range(levels - 1):
        low = planes
        for axis in (-2, -1):
            low = _halved(low, axis, taps, padding)
        doubled = low
        for axis in (-2, -1):
            doubled = _doubled(doubled, axis, planes.shape[axis], taps, fill)
        differences.append(planes - doubled)
        planes = low
    return [*differences, planes]


def _halved(planes, axis: int, taps: Sequence[float], padding: str):
    padded, side = _padded(planes, axis, 2, padding), planes.shape[axis]
    return sum(float(tap) * jax.lax.slice_in_dim(padded, k, side + k, 2, axis)
               for k, tap in enumerate(taps))


def _doubled(planes, axis: int, side: int, taps: Sequence[float], fill: str):
    outer, inner, middle = (2 * float(tap) for tap in taps[:3])
    padded, count = _padded(planes, axis, 1, fill), planes.shape[axis]
    before, here, after = (
        jax.lax.slice_in_dim(padded, start, start + count, axis=axis) for start in range(3))
    both = jnp.stack([outer * (before + after) + middle * here, inner * (here + after)], axis)
    shape = list(planes.shape)
    shape[axis] = 2 * count
    return jax.lax.slice_in_dim(both.reshape(shape), 0, side, axis=axis)


def _padded(planes, axis: int, width: int, padding: str):
    widths = {'rows': (0, 0), 'columns': (0, 0)}
    widths['rows' if axis == -2 else 'columns'] = (width, width)
    return pad_image(planes[..., None], padding=padding, **widths)[..., 0]


def _check_side(planes, least: int, levels: int) -> None:
    if jnp.ndim(planes) < 2 or min(planes.shape[-2:]) < least:
        raise InputError(f'planes: {levels} levels take at least {least} rows and columns, '
                         f'got shape {jnp.shape(planes)}')


def _sides(side: int, level: int) -> list[int]:
    """The sides of the levels 1 to `level`."""
    sides = [side]
    while len(sides) < level:
        sides.append((sides[-1] + 1) // 2)
    return sides


def _low_spectrum(planes, sides: Sequence[int]):
    """The lowest `sides` frequencies of the Fourier transform, 0 first, negative ones last."""
    height, width = sides
    half = jnp.fft.rfft(planes)[..., :width // 2 + 1]
    mirrored = jnp.flip(half[..., 1:], -1).conj()
    columns = jnp.concatenate([half[..., :(width + 1) // 2], mirrored], axis=-1)
    spectrum = jnp.fft.fft(columns, axis=-2)
    negative = spectrum.shape[-2] - height // 2
    return jnp.concatenate(
        [spectrum[..., :(height + 1) // 2, :], spectrum[..., negative:, :]], axis=-2)


def _band_mask(shape: tuple[int, int], level: int, orientations: int, orientation: int,
               analytic: bool) -> np.ndarray:
    """The transfer function of a band, on the frequencies of its level."""
    radius, angle = _polar(shape, level)
    mask = _low_pass(radius, 0)
    for coarser in range(1, level):
        mask = mask * _low_pass(radius, coarser)
    mask = mask * _high_pass(radius, level)
    return (-1j) ** (orientations - 1) * mask * _angular(
        angle - np.pi * orientation / orientations, orientations - 1, analytic)


@functools.lru_cache(maxsize=8)
def _polar(shape: tuple[int, int], level: int) -> tuple[np.ndarray, np.ndarray]:
    """Binary logarithm of the radius (0 where it is half the sampling rate), and the angle."""
    down, across = (np.fft.ifftshift(np.arange(n) - n // 2) / (side / 2)
                    for side, n in ((side, _sides(side, level)[-1]) for side in shape))
    radius = np.hypot(down[:, None], across[None])
    radius[0, 0] = radius[0, 1]
    return np.log2(radius), np.arctan2(*np.broadcast_arrays(down[:, None], across[None]))


def _high_pass(radius, octave: int) -> np.ndarray:
    """Square root of a raised cosine from `octave + 1` to `octave` octaves under the limit."""
    position = np.arange(-1, _RADIAL_STEPS + 1) / _RADIAL_STEPS
    return np.interp(radius + octave, position - 1, np.sqrt(_raised_cosine(position)))


def _low_pass(radius, octave: int) -> np.ndarray:
    """The complement of `_high_pass` in power."""
    position = np.arange(-1, _RADIAL_STEPS + 1) / _RADIAL_STEPS
    return np.interp(radius + octave, position - 1, np.sqrt(1 - _raised_cosine(position)))


def _raised_cosine(position) -> np.ndarray:
    return np.cos(np.pi / 2 * (np.clip(position, 0, 1) - 1)) ** 2


def _angular(angle, order: int, analytic: bool) -> np.ndarray:
    """A power of the cosine, of one lobe only (and twice as high) where analytic."""
    table = np.pi * np.arange(-2 * _ANGULAR_STEPS - 1, _ANGULAR_STEPS + 2) / _ANGULAR_STEPS
    scale = 2 ** (2 * order) * math.factorial(order) ** 2 / (
        (order + 1) * math.factorial(2 * order))
    lobe = np.abs((np.pi + table) % (2 * np.pi) - np.pi) < np.pi / 2
    values = np.sqrt(scale) * np.cos(table) ** order
    return np.interp(angle, table, 2 * values * lobe if analytic else values)


def _constant(array: np.ndarray, like):
    """A static array as `like`'s dtype and rank."""
    return jnp.asarray(array, like.dtype).reshape((1,) * (like.ndim - array.ndim + 1)
                                                  + array.shape)

"""Resizing as two banded matrix products, by MATLAB's or torch's rules.

Where a resize kernel differs, so does the metric behind it: MATLAB's `imresize` widens its kernel
when it shrinks an image (antialiasing), torch's `interpolate` does not, and their bicubics use
different coefficients and borders.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError, nearest

KERNEL_WIDTHS = {'nearest': 1, 'bilinear': 2, 'bicubic': 4}
CONVENTIONS = ('matlab', 'torch')


def resize(image, size: tuple[int, int], *, kernel: str = 'bilinear', convention: str = 'matlab',
           antialias: bool | None = None, align_corners: bool = False, scale: float | None = None):
    """Resizes `*b h w c` to `size` = (height, width).

    Args:
        image: The image.
        size: The new height and width.
        kernel: 'nearest', 'bilinear' or 'bicubic'.
        convention: 'matlab' (imresize: cubic coefficient -0.5, mirrored border) or 'torch'
            (interpolate: cubic coefficient -0.75, repeated border).
        antialias: Widen the kernel by the scale when shrinking. `None` follows the convention: True
            for 'matlab', except with 'nearest', and False for 'torch'.
        align_corners: torch's option: the corners' centres stay in place.
        scale: New pixels an old one. `None` takes it from the sizes, each axis its own; MATLAB's
            imresize(image, scale) keeps to the scale it is given, and rounds the size up.

    Returns:
        `*b size c`; bicubic may leave the range of the input.

    Raises:
        InputError: On an unknown `kernel` or `convention`, or an empty `size`.
    """
    if jnp.ndim(image) < 3:
        raise InputError(f'image: expected [..., height, width, channels], '
                         f'got shape {jnp.shape(image)}')
    options = dict(kernel=kernel, convention=convention, antialias=antialias,
                   align_corners=align_corners, scale=scale)
    down, across = (
        jnp.asarray(resize_matrix(old, new, **options), image.dtype)
        for old, new in zip(image.shape[-3:-1], size, strict=True))
    return jnp.einsum('ph,...hwc,qw->...pqc', down, image, across,
                      precision=jax.lax.Precision.HIGHEST)


@functools.lru_cache(maxsize=64)
def resize_matrix(old: int, new: int, *, kernel: str = 'bilinear', convention: str = 'matlab',
                  antialias: bool | None = None, align_corners: bool = False,
                  scale: float | None = None) -> np.ndarray:
    """The matrix `new old` that resizes one axis: rows of sum 1. Options as in `resize`."""
    if kernel not in KERNEL_WIDTHS:
        raise InputError(f"kernel: unknown name '{kernel}'{nearest(kernel, KERNEL_WIDTHS)}")
    if convention not in CONVENTIONS:
        raise InputError(
            f"convention: unknown name '{convention}'{nearest(convention, CONVENTIONS)}")
    if old < 1 or new < 1:
        raise InputError(f'size: expected at least 1 pixel a side, got {old} -> {new}')
    if antialias is None:
        antialias = convention == 'matlab' and kernel != 'nearest'
    step = old / new if scale is None else 1 / scale
    stretch = max(1.0, step) if antialias else 1.0
    centre = _centres(old, new, step, align_corners)
    taps = math.ceil(KERNEL_WIDTHS[kernel] * stretch) + 2
    # MATLAB's `contributions`: the taps of a row, some of which have weight 0
    index = np.floor(centre - KERNEL_WIDTHS[kernel] * stretch / 2)[:, None] + np.arange(taps)
    cubic = -0.5 if convention == 'matlab' else -0.75
    weights = _kernel(kernel, (centre[:, None] - index) / stretch, cubic)
    matrix = np.zeros((new, old))
    rows = np.broadcast_to(np.arange(new)[:, None], index.shape)
    columns = _border(index.astype(int), old, mirrored=convention == 'matlab')
    np.add.at(matrix, (rows, columns), weights / weights.sum(axis=1, keepdims=True))
    matrix.setflags(write=False)
    return matrix


def _centres(old: int, new: int, step: float, align_corners: bool) -> np.ndarray:
    """Where the new pixels' centres lie on the old axis."""
    if align_corners:
        return np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    return (np.arange(new) + 0.5) * step - 0.5


def _border(index: np.ndarray, length: int, *, mirrored: bool) -> np.ndarray:
    if not mirrored:
        return np.clip(index, 0, length - 1)
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


def _kernel(name: str, x: np.ndarray, cubic: float) -> np.ndarray:
    """The kernel's value at distance `x`; `cubic` is the coefficient a of Keys (1981), Eq. 4."""
    if name == 'nearest':
        return ((x >= -0.5) & (x < 0.5)).astype(float)
    x = np.abs(x)
    if name == 'bilinear':
        return np.maximum(0.0, 1 - x)
    near = (cubic + 2) * x ** 3 - (cubic + 3) * x ** 2 + 1
    far = cubic * (x ** 3 - 5 * x ** 2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

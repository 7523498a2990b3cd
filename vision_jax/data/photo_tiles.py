"""Cutting a photograph into tiles that show something."""

import numpy as np

from vision_jax.core.errors import InputError

STRIDE = 16
LEAST_DEVIATION = 0.04  # of the grey values; flat sky and paper are below
GRADIENT_QUANTILE = 0.4  # tiles below it within their photograph are dropped
GREY = np.array([0.299, 0.587, 0.114], np.float32)


def choose_tiles(photograph: np.ndarray, *, side: int, count: int, seed: int) -> np.ndarray:
    """Corners of tiles with detail, as far from each other as the photograph admits.

    Candidates lie on a grid of 16 pixels. One is flat, and dropped, where the standard deviation of
    its grey values is under 0.04, or its mean gradient under the photograph's quantile 0.4. Of the
    others the first is drawn, and each next is the farthest from those chosen.

    Args:
        photograph: uint8 `[h, w, 3]`.
        side: Of a tile, in pixels.
        count: How many tiles.
        seed: Of the draw.

    Returns:
        int array `[count, 2]` of (top, left).

    Raises:
        InputError: If the photograph is smaller than a tile or has too few places with detail.
    """
    height, width = photograph.shape[:2]
    if min(height, width) < side:
        raise InputError(f'tile: {side} pixels do not fit a photograph of {height}x{width}')
    grid = np.mgrid[0:height - side + 1:STRIDE, 0:width - side + 1:STRIDE].reshape(2, -1).T
    places = grid[_has_detail(photograph, grid, side)]
    if len(places) < count:
        raise InputError(f'tiles_per_photo: expected at most {len(places)}, the places with detail '
                         f'in a photograph of {height}x{width}, got {count}')
    chosen = [int(np.random.default_rng(seed).integers(len(places)))]
    distance = np.full(len(places), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.hypot(*(places - places[chosen[-1]]).T))
        chosen.append(int(distance.argmax()))
    return places[chosen]


def cut(image: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    """The tiles at `corners` `[n, 2]`: `[h, w, 3] -> [n, side, side, 3]`."""
    return np.stack([image[top:top + side, left:left + side] for top, left in corners])


def _has_detail(photograph: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    grey = photograph @ GREY / 255
    gradient = np.hypot(*np.gradient(grey))
    mean, square, slope = (
        _window_means(values, corners, side) for values in (grey, grey ** 2, gradient))
    deviation = np.sqrt(np.maximum(square - mean ** 2, 0))
    return (deviation >= LEAST_DEVIATION) & (slope >= np.quantile(slope, GRADIENT_QUANTILE))


def _window_means(values: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    table = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    top, left = corners.T
    total = (table[top + side, left + side] - table[top, left + side]
             - table[top + side, left] + table[top, left])
    return total / side ** 2

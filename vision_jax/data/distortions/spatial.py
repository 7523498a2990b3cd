"""Places and blocks: KADID-10k types 19 to 21 and 23."""

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_image
from vision_jax.core.errors import InputError
from vision_jax.data.distortions.per_image import map_images
from vision_jax.ops import resize

JITTER_PASSES = 5  # KADIS-700k generator, imjitter.m
PATCH_SIDE, PATCH_REACH = 16, 8
BLOCK_SIDE = 32


def jitter(key: jax.Array, image, *, amount):
    """Moves every pixel at random, five times over (type 19).

    Args:
        key: For the displacements.
        image: `*b h w 3` in [0, 1].
        amount: Standard deviation of a displacement in each axis, in pixels, at least 0.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        Cubic convolution between pixels and repeated edges, as the generator. It clips once, at the
        end; so does this.
    """
    check_image('image', image, channels=3)

    def jitter_one(key, image):
        def one_pass(image, pass_key):
            shifts = amount * jax.random.normal(pass_key, (2, *image.shape[:2]), image.dtype)
            return warp(image, shifts), None

        return jax.lax.scan(one_pass, image, jax.random.split(key, JITTER_PASSES))[0]

    return jnp.clip(map_images(jitter_one, image, key=key), 0.0, 1.0)


def warp(image, shifts):
    """Samples an image at `(row - shifts[0], column - shifts[1])` by cubic convolution.

    Args:
        image: `h w c`.
        shifts: `2 h w` in pixels.

    Returns:
        `h w c`; may leave the range of the input.

    Source:
        R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29
        (1981), with a = -1/2.
    """
    height, width, channels = image.shape
    row = jnp.arange(height, dtype=image.dtype)[:, None] - shifts[0]
    column = jnp.arange(width, dtype=image.dtype)[None, :] - shifts[1]
    rows, row_weights = _cubic_taps(row, height)
    columns, column_weights = _cubic_taps(column, width)
    flat = image.reshape(-1, channels)
    total = jnp.zeros_like(image)
    for i in range(4):
        line = jnp.zeros_like(image)
        for j in range(4):
            line = line + column_weights[j][..., None] * flat[rows[i] * width + columns[j]]
        total = total + row_weights[i][..., None] * line
    return total


def _cubic_taps(position, size: int):
    """The four samples about a position, held to the image, and Keys' weights."""
    first = jnp.floor(position) - 1
    indices, weights = [], []
    for tap in range(4):
        distance = jnp.abs(position - (first + tap))
        near = (1.5 * distance - 2.5) * distance ** 2 + 1
        far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
        weights.append(jnp.where(distance <= 1, near, far))
        indices.append(jnp.clip((first + tap).astype(jnp.int32), 0, size - 1))
    return indices, weights


def non_eccentricity_patches(key: jax.Array, image, *, patches):
    """Copies small patches to a place nearby (type 20).

    Args:
        key: For the places.
        image: `*b h w 3` in [0, 1], at least 64 pixels a side.
        patches: How many patches of 16x16 pixels, each moved up to 8 pixels in each axis; one may
            take what another left.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        KADID-10k sets 20 to 100 on images of 512x384; on a tile take as many as its share of that
        area.
    """
    check_image('image', image, channels=3, min_side=4 * PATCH_SIDE)
    limits = jnp.array([side - 2 * PATCH_SIDE for side in image.shape[-3:-1]], jnp.float32)

    def copy_one(key, image):
        def copy(number, image):
            place_key, move_key = jax.random.split(jax.random.fold_in(key, number))
            place = PATCH_SIDE + jax.random.uniform(place_key, (2,)) * (limits - PATCH_SIDE)
            move = jax.random.uniform(move_key, (2,), minval=-PATCH_REACH, maxval=PATCH_REACH)
            source, target = (jnp.round(p).astype(jnp.int32) for p in (place, place + move))
            patch = jax.lax.dynamic_slice(
                image, (*source, 0), (PATCH_SIDE, PATCH_SIDE, image.shape[-1]))
            return jax.lax.dynamic_update_slice(image, patch, (*target, 0))

        return jax.lax.fori_loop(0, patches, copy, image)

    return map_images(copy_one, image, key=key)


def pixelation(image, *, strength: float):
    """Shrinks and enlarges by the nearest pixel (type 21).

    Args:
        image: `*b h w 3` in [0, 1].
        strength: s in the scale `0.95 - s^0.6`, from 0 to below 0.9.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    scale = 0.95 - strength ** 0.6
    if not 0 < scale < 1:
        raise InputError(f'strength: expected 0 <= strength < 0.91, got {strength}')
    for axis in (-3, -2):
        image = jnp.take(image, _nearest_indices(image.shape[axis], scale), axis=axis)
    return image


def _nearest_indices(size: int, scale: float) -> np.ndarray:
    """Which pixel each pixel shows after shrinking by `scale` and enlarging again."""
    small = int(np.ceil(size * scale))
    down = resize.resize_matrix(size, small, kernel='nearest').argmax(axis=1)
    up = resize.resize_matrix(small, size, kernel='nearest').argmax(axis=1)
    return down[up]


def colour_blocks(key: jax.Array, image, *, blocks, side: int = BLOCK_SIDE):
    """Covers the image by squares of random colours (type 23).

    Args:
        key: For the places and colours.
        image: `*b h w 3` in [0, 1], at least `side` pixels a side.
        blocks: How many squares.
        side: Their side in pixels.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        KADID-10k sets squares of 32 pixels on images of 512x384; on a tile take a smaller side.
    """
    check_image('image', image, channels=3, min_side=side)
    limits = jnp.array([s - side for s in image.shape[-3:-1]], jnp.float32)
    row, column = jnp.arange(image.shape[-3])[:, None], jnp.arange(image.shape[-2])[None, :]

    def cover_one(key, image):
        def cover(number, image):
            place_key, colour_key = jax.random.split(jax.random.fold_in(key, number))
            top, left = jnp.floor(jax.random.uniform(place_key, (2,)) * limits).astype(jnp.int32)
            inside = (row >= top) & (row < top + side) & (column >= left) & (column < left + side)
            colour = jax.random.uniform(colour_key, (1, 1, 3), image.dtype)
            return jnp.where(inside[..., None], colour, image)

        return jax.lax.fori_loop(0, blocks, cover, image)

    return map_images(cover_one, image, key=key)

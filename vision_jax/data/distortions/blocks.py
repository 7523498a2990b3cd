"""The 8x8 discrete cosine transform."""

import jax
import jax.numpy as jnp
import numpy as np

SIZE = 8


def dct_matrix() -> np.ndarray:
    """The orthonormal DCT-II of 8 samples, `8 8`."""
    frequency, position = np.mgrid[:SIZE, :SIZE]
    matrix = np.cos(np.pi * (2 * position + 1) * frequency / (2 * SIZE)) * np.sqrt(2 / SIZE)
    matrix[0] /= np.sqrt(2)
    return matrix


def dct_blocks(image):
    """DCT of every 8x8 block: `*b h w c -> *b h/8 8 w/8 8 c`, the 8s being frequencies.

    Args:
        image: `*b h w c`, h and w multiples of 8.
    """
    return _transform(image, dct_matrix())


def idct_blocks(blocks):
    """The inverse of `dct_blocks`.

    Args:
        blocks: `*b h/8 8 w/8 8 c`.

    Returns:
        `*b h w c`.
    """
    *batch, rows, _, columns, _, channels = blocks.shape
    image = blocks.reshape(*batch, rows * SIZE, columns * SIZE, channels)
    return _transform(image, dct_matrix().T).reshape(image.shape)


def _transform(image, matrix):
    """Multiplies each 8 rows, then each 8 columns, without moving any axis."""
    *batch, height, width, channels = image.shape
    matrix = jnp.asarray(matrix, image.dtype)
    rows = image.reshape(*batch, height // SIZE, SIZE, width * channels)
    down = jnp.einsum('ui,...ix->...ux', matrix, rows, precision=jax.lax.Precision.HIGHEST)
    groups = down.reshape(*batch, height, width // SIZE, SIZE * channels)
    across = jnp.kron(matrix.T, jnp.eye(channels, dtype=image.dtype))
    both = jnp.einsum('...x,xy->...y', groups, across, precision=jax.lax.Precision.HIGHEST)
    return both.reshape(*batch, height // SIZE, SIZE, width // SIZE, SIZE, channels)

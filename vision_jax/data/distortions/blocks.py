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
    """DCT of every 8x8 block: `*b h w c -> *b h/8 8 w/8 8 c`, the 8s being frequencies."""
    *batch, height, width, channels = image.shape
    blocks = image.reshape(*batch, height // SIZE, SIZE, width // SIZE, SIZE, channels)
    return _transform(blocks, dct_matrix())


def idct_blocks(blocks):
    """The inverse of `dct_blocks`."""
    *batch, rows, _, columns, _, channels = blocks.shape
    image = _transform(blocks, dct_matrix().T)
    return image.reshape(*batch, rows * SIZE, columns * SIZE, channels)


def _transform(blocks, matrix):
    matrix = jnp.asarray(matrix, blocks.dtype)
    return jnp.einsum('ui,vj,...aibjc->...aubvc', matrix, matrix, blocks,
                      precision=jax.lax.Precision.HIGHEST)

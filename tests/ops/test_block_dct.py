"""The DCT of blocks against SciPy."""

import jax
import numpy as np
import pytest
from scipy import fft

from vision_jax.core.errors import InputError
from vision_jax.ops.block_dct import block_dct, split_blocks


def test_blocks_of_any_batch_are_scipys_dct():
    blocks = np.random.default_rng(0).normal(size=(2, 3, 4, 8, 8))
    with jax.enable_x64(True):
        np.testing.assert_allclose(block_dct(blocks), fft.dctn(blocks, axes=(-2, -1), norm='ortho'),
                                   atol=1e-13)


def test_blocks_are_cut_row_by_row_and_the_rest_is_left_out():
    plane = np.arange(19 * 27.0, dtype=np.float32).reshape(19, 27)
    blocks = split_blocks(plane)
    assert blocks.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(blocks[1, 2], plane[8:16, 16:24])


def test_a_plane_under_a_block_is_refused():
    with pytest.raises(InputError, match='plane: expected at least 8 by 8'):
        split_blocks(np.zeros((7, 30), np.float32))

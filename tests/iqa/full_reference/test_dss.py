import jax
import numpy as np
import pytest

from vision_jax.iqa.full_reference.dss import dss


def test_float32_keeps_its_digits_where_one_image_is_flat():
    rng = np.random.default_rng(0)
    reference = np.full((64, 96, 1), 0.9)
    reference[:, 48:] = rng.random((64, 48, 1))
    distorted = np.clip(reference + rng.normal(0, 0.05, reference.shape), 0, 1)
    with jax.enable_x64(True):
        exact = float(dss(reference, distorted))
    single = dss(np.float32(reference), np.float32(distorted))
    assert float(single) == pytest.approx(exact, rel=1e-5)


def test_rows_and_columns_beyond_the_last_block_are_left_out():
    images = np.random.default_rng(1).random((2, 39, 47, 1), np.float32)
    assert dss(*images) == dss(*images[:, :32, :40])

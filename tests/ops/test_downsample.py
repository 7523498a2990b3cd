import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.ops.downsample import halve, mean_downsample


@pytest.mark.parametrize(('ragged', 'last'), [('zero', 5 / 4), ('repeat', 5.0)])
def test_a_last_odd_pixel_is_halved_over_zeros_or_by_itself(ragged, last):
    image = jnp.arange(1.0, 6.0)[None, :, None] * jnp.ones((5, 1, 1))
    halved = halve(image, ragged=ragged)[..., 0]
    np.testing.assert_allclose(halved[0], [1.5, 3.5, last * (2 if ragged == 'zero' else 1)])
    np.testing.assert_allclose(halved[2, 2], last)


def test_crop_leaves_out_what_fills_no_block():
    image = np.random.default_rng(0).random((2, 8, 11, 3), np.float32)
    expected = image[:, :6, :9].reshape(2, 2, 3, 3, 3, 3).mean((2, 4))
    np.testing.assert_allclose(mean_downsample(image, 3, rule='crop'), expected, rtol=1e-6)
    np.testing.assert_array_equal(halve(image[:, :, :10], ragged='crop'),
                                  halve(image[:, :, :10]))


def test_unknown_name_is_refused():
    with pytest.raises(InputError, match='ragged: unknown name'):
        halve(jnp.zeros((4, 4, 1)), ragged='cut')

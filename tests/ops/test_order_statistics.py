import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.ops.order_statistics import kth_smallest, mean_of_smallest, median

VALUES = {
    'normal': np.random.default_rng(0).normal(size=(2, 3, 50)),
    'ties': np.random.default_rng(1).integers(-2, 3, (2, 50)).astype(float),
    'all equal': np.full((2, 7), 0.1),
    'tiny and huge': np.array([[-1e30, -1e-30, -0.0, 0.0, 1e-30, 1.0, 1e30, 1e38]]),
}


@pytest.mark.parametrize('values', VALUES.values(), ids=VALUES)
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_ranks_equal_a_sort(values, dtype):
    values = values.astype(dtype)
    count = values.shape[-1]
    ranks = [0, 1, count // 3, count // 2, count - 1]
    with jax.enable_x64(dtype == np.float64):
        found = jax.jit(lambda x: jnp.stack([kth_smallest(x, rank) for rank in ranks], axis=-1))
        found = found(jnp.asarray(values))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.sort(values)[..., ranks])


@pytest.mark.parametrize('name', ['normal', 'ties', 'all equal'])
@pytest.mark.parametrize('count', [1, 7])
def test_median_and_mean_of_smallest_equal_numpy(name, count):
    values = VALUES[name].astype(np.float32)
    for cut in (values, values[..., 1:]):  # an even and an odd number
        np.testing.assert_array_equal(median(jnp.asarray(cut)), np.median(cut, axis=-1))
    np.testing.assert_allclose(mean_of_smallest(jnp.asarray(values), count),
                               np.sort(values)[..., :count].mean(-1), rtol=1e-6)


def test_gradients_go_to_the_entries_that_are_chosen():
    values = jnp.array([3.0, 1.0, 2.0, 2.0, 5.0])
    np.testing.assert_array_equal(jax.grad(kth_smallest)(values, 0), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(jax.grad(median)(values), [0, 0, 0.5, 0.5, 0])
    np.testing.assert_allclose(jax.grad(mean_of_smallest)(values, 4), [0.25, 0.25, 0.25, 0.25, 0])
    np.testing.assert_array_equal(jax.grad(median)(values[:2]), [0.5, 0.5])


def test_rank_outside_the_axis_is_refused():
    with pytest.raises(InputError, match='rank: expected 0 to 2'):
        kth_smallest(jnp.zeros(3), 3)

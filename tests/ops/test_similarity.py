import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.ops.similarity import dissimilarity, real_power, similarity, weighted_mean


@pytest.mark.parametrize('masking', [0.0, 0.5])
def test_dissimilarity_is_one_less_the_similarity_as_it_is_written(masking):
    a, b = np.random.default_rng(0).uniform(0, 50, (2, 100))
    written = ((2 - masking) * a * b + 7) / (a ** 2 + b ** 2 - masking * a * b + 7)
    np.testing.assert_allclose(dissimilarity(a, b, 7.0, masking=masking), 1 - written, atol=1e-12)
    if not masking:
        np.testing.assert_allclose(similarity(a, b, 7.0), written, rtol=1e-12)
    assert (dissimilarity(a, a, 7.0, masking=masking) == 0).all()


def test_real_power_is_the_real_part_of_the_complex_power():
    base = np.array([-2.0, -1e-3, 0.0, 0.5, 3.0])
    expected = (base.astype(complex) ** 0.3).real
    np.testing.assert_allclose(real_power(base, 0.3), expected, rtol=1e-6)
    slopes = jax.grad(lambda x: real_power(x, 0.3).sum())(jnp.asarray(base))
    assert slopes[2] == 0
    np.testing.assert_allclose(slopes[3], 0.3 * 0.5 ** -0.7, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_weights_of_nought_weigh_equally():
    values = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert weighted_mean(values, jnp.zeros((2, 2))) == 2.5
    assert weighted_mean(values, jnp.array([[0.0, 1.0], [0.0, 3.0]])) == 3.5

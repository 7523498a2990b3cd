"""Group normalisation against its formula, with both derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.nn import norm

pytestmark = pytest.mark.usefixtures('strict_dtypes')


def by_formula(x, scale, bias, groups, epsilon):
    parts = x.reshape(*x.shape[:3], groups, -1)
    mean = parts.mean((1, 2, 4), keepdims=True)
    variance = jnp.square(parts - mean).mean((1, 2, 4), keepdims=True)
    y = ((parts - mean) / jnp.sqrt(variance + epsilon)).reshape(x.shape)
    return y * scale[None, None, None] + bias[None, None, None]


@pytest.mark.parametrize(('channels', 'most', 'groups'), [(12, 4, 4), (6, 32, 6), (10, 4, 2)])
def test_group_norm_equals_its_formula_with_gradients(channels, most, groups):
    generator = np.random.default_rng(0)
    x = jnp.asarray(3 + generator.normal(size=(2, 5, 4, channels)), jnp.float32)
    layer = norm.GroupNorm(groups=most, epsilon=1e-3)
    params = layer.init(jax.random.key(0), x)['params']
    assert jax.tree.map(jnp.shape, params) == {'scale': (channels,), 'bias': (channels,)}
    params = {'scale': jnp.linspace(0.5, 2, channels), 'bias': jnp.linspace(-1, 1, channels)}

    def ours(x, params):
        return layer.apply({'params': params}, x)

    def formula(x, params):
        return by_formula(x, params['scale'], params['bias'], groups, 1e-3)

    def derivatives(function):
        slope = jax.grad(lambda x, p: jnp.sum(jnp.sin(function(x, p))), (0, 1))

        def along(x, p):
            by_x, by_params = slope(x, p)
            return jnp.sum(jnp.cos(x) * by_x) + jnp.sum(by_params['scale'] + by_params['bias'])

        return function(x, params), slope(x, params), jax.grad(along, (0, 1))(x, params)

    for a, b in zip(*(jax.tree.leaves(derivatives(f)) for f in (formula, ours)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.abs(a).max()))


def test_group_norm_is_twice_differentiable_on_a_flat_image():
    x = jnp.ones((1, 4, 4, 6))
    layer = norm.GroupNorm(groups=3)
    variables = layer.init(jax.random.key(0), x)

    def slope(x):
        return jax.grad(lambda x: jnp.sum(jnp.sin(layer.apply(variables, x))))(x)

    assert np.isfinite(jax.grad(lambda x: jnp.sum(jnp.square(slope(x))))(x)).all()


def test_bfloat16_stays_bfloat16():
    x = jnp.ones((1, 4, 4, 6), jnp.bfloat16)
    y, _ = norm.GroupNorm().init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16

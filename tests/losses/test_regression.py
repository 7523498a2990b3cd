"""Regression losses against optax and their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vision_jax.core.errors import InputError
from vision_jax.losses import regression

LOSSES = [regression.squared_error, regression.absolute_error, regression.huber]
pytestmark = pytest.mark.usefixtures('strict_dtypes')


def pair(seed=0, shape=(4, 5)):
    random = np.random.default_rng(seed)
    return (jnp.asarray(random.normal(size=shape) * 3, jnp.float32) for _ in range(2))


def test_squared_and_absolute_error_are_their_definitions():
    p, y = pair()
    np.testing.assert_allclose(
        regression.squared_error(p, y), (np.float64(p) - np.float64(y)) ** 2, rtol=1e-5
    )
    np.testing.assert_allclose(
        regression.absolute_error(p, y), np.abs(np.float64(p) - np.float64(y)), rtol=1e-5
    )


@pytest.mark.parametrize('delta', [0.3, 1.0, 4.0])
def test_huber_equals_optax(delta):
    p, y = pair(1)
    expected = optax.huber_loss(p, y, delta=delta)
    np.testing.assert_allclose(regression.huber(p, y, delta=delta), expected, rtol=1e-5, atol=1e-6)
    ours, theirs = (
        jax.grad(lambda q, f=f: f(q, y, delta=delta).sum())(p)
        for f in (regression.huber, optax.huber_loss)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_huber_has_its_curvature_at_zero():
    second = jax.grad(jax.grad(lambda e: regression.huber(e, jnp.zeros(()), delta=0.5)))
    np.testing.assert_array_equal([second(jnp.asarray(e)) for e in (0.0, 0.1, 0.9)], [1, 1, 0])


def test_huber_refuses_a_delta_that_is_not_positive():
    with pytest.raises(InputError, match='delta: expected a positive number, got 0'):
        regression.huber(*pair(), delta=0.0)


@pytest.mark.parametrize('loss', LOSSES)
def test_nothing_broadcasts(loss):
    p, y = pair(shape=(4, 1))
    with pytest.raises(InputError, match=r'predictions and targets .* \(4, 1\) and \(4,\)'):
        loss(p, y[:, 0])


@pytest.mark.parametrize('loss', LOSSES)
def test_jit_and_vmap_agree_and_gradients_are_finite_at_equality(loss):
    p, y = pair(2)
    np.testing.assert_allclose(jax.jit(loss)(p, y), loss(p, y), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(loss)(p, y), loss(p, y), rtol=1e-6)
    assert np.isfinite(jax.grad(lambda q: loss(q, y).sum())(y)).all()

"""A toy task with episodes, and what tests of meta-learners do with it."""

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.task import Task

TASKS, SUPPORT, QUERY, WIDTH = 8, 5, 4, 3


def network(params, x):
    hidden = jnp.tanh(x @ params['body']['kernel'] + params['body']['bias'][None])
    return (hidden @ params['head']['kernel'])[..., 0]


def squared(params, batch):
    return jnp.square(network(params, batch['x']) - batch['y'])


def task() -> Task:
    """Regression by a two-layer network; its model state counts calls and averages inputs."""

    def init(key, batch):
        a, b = jax.random.split(key)
        params = {
            'body': {
                'kernel': jax.random.normal(a, (batch['x'].shape[-1], WIDTH)),
                'bias': jnp.zeros(WIDTH),
            },
            'head': {'kernel': jax.random.normal(b, (WIDTH, 1))},
        }
        return params, {'calls': jnp.zeros((), jnp.int32), 'mean': jnp.zeros(())}

    def loss(params, model_state, batch, key, train):
        errors = squared(params, batch)
        mask = batch.get('mask', jnp.ones_like(errors))
        total, count = jnp.sum(mask * errors), mask.sum()
        model_state = {'calls': model_state['calls'] + 1, 'mean': batch['x'].mean()}
        return total / jnp.maximum(count, 1), (model_state, {'squared_error': (total, count)})

    def predict(params, model_state, batch):
        return {'quality': network(params, batch['x'])}

    return Task(init, loss, predict)


def make_batch(seed=0, dtype=np.float32):
    generator = np.random.default_rng(seed)

    def part(count):
        x = generator.normal(size=(TASKS, count, 2)).astype(dtype)
        y = np.sin(x[..., 0] * np.arange(1, TASKS + 1, dtype=dtype)[:, None]) + x[..., 1]
        return {'x': x, 'y': y.astype(dtype)}

    return {'support': part(SUPPORT), 'query': part(QUERY)}


def setup(meta, dtype=np.float32):
    batch = make_batch(dtype=dtype)
    params, model_state = meta.init(jax.random.key(1), batch)
    return jax.tree.map(lambda x: x.astype(dtype), params), model_state, batch


def value_and_gradient(meta, params, model_state, batch):
    def loss(params):
        return meta.loss(params, model_state, batch, jax.random.key(0), True)

    (value, _), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    return value, gradient


def assert_close(got, want, rtol):
    """Relative to the largest entry of each leaf."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(), 1e-30))

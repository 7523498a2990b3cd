"""Meta-gradients against ones written by hand, finite differences and NumPy loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import flatten_util

from tests import toy_meta as toy
from vision_jax.meta.adapt import adapt
from vision_jax.meta.anil import anil
from vision_jax.meta.bilevel import bilevel
from vision_jax.meta.maml import maml
from vision_jax.meta.reptile import reptile


def reference_loss(params, batch, *, rate, steps, order=2, adapted_parts=('body', 'head')):
    """MAML's objective as a loop over tasks, with nothing of the library."""
    total = 0.0
    for t in range(toy.TASKS):
        part = jax.tree.map(lambda x, t=t: x[t], batch)
        adapted = {name: params[name] for name in adapted_parts}
        for _ in range(steps):
            gradient = jax.grad(
                lambda p, part=part: toy.squared({**params, **p}, part['support']).mean()
            )(adapted)
            if order == 1:
                gradient = jax.lax.stop_gradient(gradient)
            adapted = jax.tree.map(lambda p, g: p - rate * g, adapted, gradient)
        total += toy.squared({**params, **adapted}, part['query']).mean()
    return total / toy.TASKS


def finite_differences(function, params, step=1e-6):
    """Central differences in every coordinate."""
    flat, unravel = flatten_util.ravel_pytree(params)
    of_flat = jax.jit(lambda flat: function(unravel(flat)))
    slopes = [
        (of_flat(flat + step * e) - of_flat(flat - step * e)) / (2 * step)
        for e in np.eye(len(flat))
    ]
    return unravel(jnp.stack(slopes))


@pytest.mark.parametrize('steps', [1, 3])
@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('task_axis', ['vmap', 'unroll'])
def test_maml_equals_the_hand_written_gradient(order, steps, task_axis):
    with jax.enable_x64(True):
        meta = maml(toy.task(), inner_lr=0.1, inner_steps=steps, order=order, task_axis=task_axis)
        params, model_state, batch = toy.setup(meta, np.float64)
        value, gradient = toy.value_and_gradient(meta, params, model_state, batch)
        by_hand = functools.partial(reference_loss, rate=0.1, steps=steps)
        want_value, want = jax.value_and_grad(by_hand)(params, batch, order=order)
        np.testing.assert_allclose(value, want_value, rtol=1e-12)
        toy.assert_close(gradient, want, 1e-12)
        other = jax.grad(by_hand)(params, batch, order=3 - order)
        assert optax.tree.norm(optax.tree.sub(gradient, other)) > 0.05 * optax.tree.norm(other)


@pytest.mark.parametrize(
    'options',
    [
        {'inner_steps': 2},
        {'inner_steps': 2, 'inner_optimizer': 'adam'},
        {'inner_steps': 1, 'learn_inner_lr': True},
        {'inner_steps': 3, 'learn_inner_lr': True, 'inner_optimizer': 'adam'},
        {'inner_steps': 2, 'learn_inner_lr': True, 'adapt': 'head/.*'},
        {'inner_steps': 2, 'remat': True, 'scan': True},
    ],
    ids=str,
)
def test_second_order_equals_finite_differences(options):
    with jax.enable_x64(True):
        meta = maml(toy.task(), inner_lr=0.05, **options)
        params, model_state, batch = toy.setup(meta, np.float64)
        _, gradient = toy.value_and_gradient(meta, params, model_state, batch)
        want = finite_differences(
            lambda p: meta.loss(p, model_state, batch, jax.random.key(0), True)[0], params
        )
        toy.assert_close(gradient, want, 1e-7)


def test_first_order_ignores_how_inner_gradients_depend_on_parameters():
    """With constant inner gradients, dL/dtheta is the query gradient where the task ended."""
    options = {'inner_lr': 0.1, 'inner_steps': 2, 'inner_optimizer': 'adam'}
    meta = maml(toy.task(), order=1, **options)
    params, model_state, batch = toy.setup(meta)
    _, gradient = toy.value_and_gradient(meta, params, model_state, batch)
    want = jax.tree.map(jnp.zeros_like, params)
    for t in range(toy.TASKS):
        part = jax.tree.map(lambda x, t=t: x[t], batch)
        ended, _ = adapt(
            toy.task(), params, model_state, part['support'], jax.random.key(0), **options
        )
        query = jax.grad(lambda p, part=part: toy.squared(p, part['query']).mean())(ended)
        want = jax.tree.map(lambda w, q: w + q / toy.TASKS, want, query)
    toy.assert_close(gradient, want, 1e-5)


def test_learned_rates_start_at_inner_lr_and_have_only_adapted_leaves():
    meta = maml(toy.task(), inner_lr=0.3, inner_steps=1, adapt='body/.*', learn_inner_lr=True)
    params, model_state, batch = toy.setup(meta)
    shapes = jax.tree.map(jnp.shape, params['inner_lr'])
    assert shapes == {'body': {'kernel': (2, toy.WIDTH), 'bias': (toy.WIDTH,)}}
    rates, _ = flatten_util.ravel_pytree(params['inner_lr'])
    assert (rates == np.float32(0.3)).all()
    plain = maml(toy.task(), inner_lr=0.3, inner_steps=1, adapt='body/.*')
    value, gradient = toy.value_and_gradient(meta, params, model_state, batch)
    want_value, want = toy.value_and_gradient(plain, params['model'], model_state, batch)
    np.testing.assert_allclose(value, want_value, rtol=1e-6)
    toy.assert_close(gradient['model'], want, 1e-6)


def test_rates_by_pattern_take_the_first_match():
    task, batch = toy.task(), toy.make_batch()
    params, model_state = task.init(jax.random.key(1), {'x': batch['support']['x'][0]})
    support = jax.tree.map(lambda x: x[0], batch['support'])
    gradient = jax.grad(lambda p: toy.squared(p, support).mean())(params)
    got, _ = adapt(
        task, params, model_state, support, jax.random.key(0), inner_steps=1,
        inner_lr=(('head/.*', 1.0), ('.*', 0.01)),
    )
    want = jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)
    want['head'] = jax.tree.map(lambda p, g: p - g, params['head'], gradient['head'])
    toy.assert_close(got, want, 1e-6)


def test_anil_adapts_only_the_head():
    task = toy.task()
    meta = anil(task, head='head/.*', inner_lr=0.1, inner_steps=2)
    params, model_state, batch = toy.setup(meta)
    support = jax.tree.map(lambda x: x[0], batch['support'])
    adapted, _ = adapt(task, params, model_state, support, jax.random.key(0),
                       inner_lr=0.1, inner_steps=2, adapt='head/.*')
    assert (adapted['body']['kernel'] == params['body']['kernel']).all()
    assert (adapted['head']['kernel'] != params['head']['kernel']).all()

    value, gradient = toy.value_and_gradient(meta, params, model_state, batch)
    want_value, want = jax.value_and_grad(reference_loss)(
        params, batch, rate=0.1, steps=2, adapted_parts=('head',)
    )
    np.testing.assert_allclose(value, want_value, rtol=1e-5)
    toy.assert_close(gradient, want, 1e-5)


class NumpyAdam:
    """Adam as in the paper's algorithm 1."""

    def __init__(self):
        self.m, self.v, self.t = 0.0, 0.0, 0

    def __call__(self, gradient):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        return self.m / (1 - 0.9**self.t) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)


def displacement_by_hand(params, batch, parts, rate_of, optimizer):
    """theta - mean over tasks of where they end, by a NumPy loop; and the last part's loss."""
    flat, unravel = flatten_util.ravel_pytree(params)
    rates = np.asarray(flatten_util.ravel_pytree(rate_of)[0])
    ends, losses = [], []
    for t in range(toy.TASKS):
        theta, update = np.asarray(flat), NumpyAdam() if optimizer == 'adam' else lambda g: g
        for part in parts:
            examples = jax.tree.map(lambda x, t=t: x[t], batch[part])
            loss, gradient = jax.value_and_grad(
                lambda p, e=examples: toy.squared(unravel(p), e).mean()
            )(jnp.asarray(theta))
            theta = theta - rates * update(np.asarray(gradient))
        query = jax.tree.map(lambda x, t=t: x[t], batch['query'])
        losses.append(loss if parts[-1] == 'query' else toy.squared(unravel(theta), query).mean())
        ends.append(theta)
    return np.mean(losses), unravel(flat - np.mean(ends, 0))


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
@pytest.mark.parametrize('task_axis', ['vmap', 'unroll'])
def test_bilevel_gradient_is_the_published_displacement(optimizer, task_axis):
    with jax.enable_x64(True):
        meta = bilevel(toy.task(), inner_optimizer=optimizer, task_axis=task_axis)
        params, model_state, batch = toy.setup(meta, np.float64)
        value, gradient = toy.value_and_gradient(meta, params, model_state, batch)
        rate_of = jax.tree.map(lambda p: jnp.full_like(p, 1e-4), params)
        rate_of['head'] = jax.tree.map(lambda p: jnp.full_like(p, 1e-2), params['head'])
        want_value, want = displacement_by_hand(
            params, batch, ('support', 'query'), rate_of, optimizer
        )
        np.testing.assert_allclose(value, want_value, rtol=1e-10)
        toy.assert_close(gradient, want, 1e-9)


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_reptile_gradient_is_the_displacement(optimizer):
    with jax.enable_x64(True):
        meta = reptile(toy.task(), inner_lr=0.05, inner_steps=4, inner_optimizer=optimizer)
        params, model_state, batch = toy.setup(meta, np.float64)
        value, gradient = toy.value_and_gradient(meta, params, model_state, batch)
        rate_of = jax.tree.map(lambda p: jnp.full_like(p, 0.05), params)
        want_value, want = displacement_by_hand(params, batch, ('support',) * 4, rate_of, optimizer)
        np.testing.assert_allclose(value, want_value, rtol=1e-10)
        toy.assert_close(gradient, want, 1e-9)

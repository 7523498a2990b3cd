"""Meta-learners against gradients written by hand, finite differences and NumPy loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import flatten_util

from vision_jax.core.errors import InputError
from vision_jax.core.task import Task
from vision_jax.meta.adapt import adapt
from vision_jax.meta.anil import anil
from vision_jax.meta.bilevel import bilevel
from vision_jax.meta.maml import maml
from vision_jax.meta.reptile import reptile

TASKS, SUPPORT, QUERY, WIDTH = 8, 5, 4, 3


def network(params, x):
    hidden = jnp.tanh(x @ params['body']['kernel'] + params['body']['bias'][None])
    return (hidden @ params['head']['kernel'])[..., 0]


def squared(params, batch):
    return jnp.square(network(params, batch['x']) - batch['y'])


def toy_task() -> Task:
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


def reference_loss(params, batch, *, rate, steps, order=2, adapted_parts=('body', 'head')):
    """MAML's objective as a loop over tasks, with nothing of the library."""
    total = 0.0
    for t in range(TASKS):
        part = jax.tree.map(lambda x, t=t: x[t], batch)
        adapted = {name: params[name] for name in adapted_parts}
        for _ in range(steps):
            gradient = jax.grad(
                lambda p, part=part: squared({**params, **p}, part['support']).mean()
            )(adapted)
            if order == 1:
                gradient = jax.lax.stop_gradient(gradient)
            adapted = jax.tree.map(lambda p, g: p - rate * g, adapted, gradient)
        total += squared({**params, **adapted}, part['query']).mean()
    return total / TASKS


def assert_close(got, want, rtol):
    """Relative to the largest entry of each leaf."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(), 1e-30))


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
        meta = maml(toy_task(), inner_lr=0.1, inner_steps=steps, order=order, task_axis=task_axis)
        params, model_state, batch = setup(meta, np.float64)
        value, gradient = value_and_gradient(meta, params, model_state, batch)
        by_hand = functools.partial(reference_loss, rate=0.1, steps=steps)
        want_value, want = jax.value_and_grad(by_hand)(params, batch, order=order)
        np.testing.assert_allclose(value, want_value, rtol=1e-12)
        assert_close(gradient, want, 1e-12)
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
        meta = maml(toy_task(), inner_lr=0.05, **options)
        params, model_state, batch = setup(meta, np.float64)
        _, gradient = value_and_gradient(meta, params, model_state, batch)
        want = finite_differences(
            lambda p: meta.loss(p, model_state, batch, jax.random.key(0), True)[0], params
        )
        assert_close(gradient, want, 1e-7)


def test_first_order_ignores_how_inner_gradients_depend_on_parameters():
    """With constant inner gradients, dL/dtheta is the query gradient where the task ended."""
    options = {'inner_lr': 0.1, 'inner_steps': 2, 'inner_optimizer': 'adam'}
    meta = maml(toy_task(), order=1, **options)
    params, model_state, batch = setup(meta)
    _, gradient = value_and_gradient(meta, params, model_state, batch)
    want = jax.tree.map(jnp.zeros_like, params)
    for t in range(TASKS):
        part = jax.tree.map(lambda x, t=t: x[t], batch)
        ended, _ = adapt(
            toy_task(), params, model_state, part['support'], jax.random.key(0), **options
        )
        query = jax.grad(lambda p, part=part: squared(p, part['query']).mean())(ended)
        want = jax.tree.map(lambda w, q: w + q / TASKS, want, query)
    assert_close(gradient, want, 1e-5)


def test_learned_rates_start_at_inner_lr_and_have_only_adapted_leaves():
    meta = maml(toy_task(), inner_lr=0.3, inner_steps=1, adapt='body/.*', learn_inner_lr=True)
    params, model_state, batch = setup(meta)
    shapes = jax.tree.map(jnp.shape, params['inner_lr'])
    assert shapes == {'body': {'kernel': (2, WIDTH), 'bias': (WIDTH,)}}
    rates, _ = flatten_util.ravel_pytree(params['inner_lr'])
    assert (rates == np.float32(0.3)).all()
    plain = maml(toy_task(), inner_lr=0.3, inner_steps=1, adapt='body/.*')
    value, gradient = value_and_gradient(meta, params, model_state, batch)
    want_value, want = value_and_gradient(plain, params['model'], model_state, batch)
    np.testing.assert_allclose(value, want_value, rtol=1e-6)
    assert_close(gradient['model'], want, 1e-6)


def test_rates_by_pattern_take_the_first_match():
    task, batch = toy_task(), make_batch()
    params, model_state = task.init(jax.random.key(1), {'x': batch['support']['x'][0]})
    support = jax.tree.map(lambda x: x[0], batch['support'])
    gradient = jax.grad(lambda p: squared(p, support).mean())(params)
    got, _ = adapt(
        task, params, model_state, support, jax.random.key(0), inner_steps=1,
        inner_lr=(('head/.*', 1.0), ('.*', 0.01)),
    )
    want = jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)
    want['head'] = jax.tree.map(lambda p, g: p - g, params['head'], gradient['head'])
    assert_close(got, want, 1e-6)


def test_anil_adapts_only_the_head():
    task = toy_task()
    meta = anil(task, head='head/.*', inner_lr=0.1, inner_steps=2)
    params, model_state, batch = setup(meta)
    support = jax.tree.map(lambda x: x[0], batch['support'])
    adapted, _ = adapt(task, params, model_state, support, jax.random.key(0),
                       inner_lr=0.1, inner_steps=2, adapt='head/.*')
    assert (adapted['body']['kernel'] == params['body']['kernel']).all()
    assert (adapted['head']['kernel'] != params['head']['kernel']).all()

    value, gradient = value_and_gradient(meta, params, model_state, batch)
    want_value, want = jax.value_and_grad(reference_loss)(
        params, batch, rate=0.1, steps=2, adapted_parts=('head',)
    )
    np.testing.assert_allclose(value, want_value, rtol=1e-5)
    assert_close(gradient, want, 1e-5)


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
    for t in range(TASKS):
        theta, update = np.asarray(flat), NumpyAdam() if optimizer == 'adam' else lambda g: g
        for part in parts:
            examples = jax.tree.map(lambda x, t=t: x[t], batch[part])
            loss, gradient = jax.value_and_grad(
                lambda p, e=examples: squared(unravel(p), e).mean()
            )(jnp.asarray(theta))
            theta = theta - rates * update(np.asarray(gradient))
        query = jax.tree.map(lambda x, t=t: x[t], batch['query'])
        losses.append(loss if parts[-1] == 'query' else squared(unravel(theta), query).mean())
        ends.append(theta)
    return np.mean(losses), unravel(flat - np.mean(ends, 0))


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
@pytest.mark.parametrize('task_axis', ['vmap', 'unroll'])
def test_bilevel_gradient_is_the_published_displacement(optimizer, task_axis):
    with jax.enable_x64(True):
        meta = bilevel(toy_task(), inner_optimizer=optimizer, task_axis=task_axis)
        params, model_state, batch = setup(meta, np.float64)
        value, gradient = value_and_gradient(meta, params, model_state, batch)
        rate_of = jax.tree.map(lambda p: jnp.full_like(p, 1e-4), params)
        rate_of['head'] = jax.tree.map(lambda p: jnp.full_like(p, 1e-2), params['head'])
        want_value, want = displacement_by_hand(
            params, batch, ('support', 'query'), rate_of, optimizer
        )
        np.testing.assert_allclose(value, want_value, rtol=1e-10)
        assert_close(gradient, want, 1e-9)


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_reptile_gradient_is_the_displacement(optimizer):
    with jax.enable_x64(True):
        meta = reptile(toy_task(), inner_lr=0.05, inner_steps=4, inner_optimizer=optimizer)
        params, model_state, batch = setup(meta, np.float64)
        value, gradient = value_and_gradient(meta, params, model_state, batch)
        rate_of = jax.tree.map(lambda p: jnp.full_like(p, 0.05), params)
        want_value, want = displacement_by_hand(params, batch, ('support',) * 4, rate_of, optimizer)
        np.testing.assert_allclose(value, want_value, rtol=1e-10)
        assert_close(gradient, want, 1e-9)


LEARNERS = {
    'maml': functools.partial(maml, inner_lr=0.1, inner_steps=3),
    'first_order': functools.partial(maml, inner_lr=0.1, inner_steps=3, order=1),
    'adam': functools.partial(maml, inner_lr=0.1, inner_steps=3, inner_optimizer='adam'),
    'reptile': functools.partial(reptile, inner_lr=0.1, inner_steps=3),
    'bilevel': bilevel,
}


@pytest.mark.parametrize(
    ('name', 'way'),
    [
        *((name, {'task_axis': 'unroll'}) for name in LEARNERS),
        *((name, {'scan': True}) for name in LEARNERS),
        ('maml', {'remat': True}),
        ('adam', {'remat': True, 'scan': True}),
    ],
)
def test_ways_of_computing_agree(name, way):
    learner = LEARNERS[name]
    params, model_state, batch = setup(learner(toy_task()))
    value, gradient = value_and_gradient(learner(toy_task()), params, model_state, batch)
    other_value, other = value_and_gradient(
        learner(toy_task(), **way), params, model_state, batch
    )
    np.testing.assert_allclose(other_value, value, rtol=1e-6)
    assert_close(other, gradient, 2e-6)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('name', LEARNERS)
def test_padded_episodes_and_examples_do_not_count(name, train):
    meta = LEARNERS[name](toy_task())
    params, model_state, batch = setup(meta)
    batch['query']['mask'] = np.ones((TASKS, QUERY), np.float32)
    batch['query']['mask'][2, -1] = 0
    batch['query']['y'][2, -1] = 1e6
    real = jax.tree.map(lambda x: x[:5], batch)
    padded = {**batch, 'mask': (np.arange(TASKS) < 5).astype(np.float32)}
    padded['query']['mask'][5:] = 0
    key = jax.random.key(3)
    want, (want_state, want_sums) = meta.loss(params, model_state, real, key, train)
    got, (state, sums) = meta.loss(params, model_state, padded, key, train)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert sums['squared_error'][1] == 5 * QUERY - 1
    assert sums['support_loss'][1] == 5
    for part in sums:
        np.testing.assert_allclose(sums[part], want_sums[part], rtol=1e-6)
    assert state['calls'].dtype == jnp.int32
    np.testing.assert_allclose(state['mean'], want_state['mean'], rtol=1e-5)


@pytest.mark.parametrize('name', LEARNERS)
def test_predict_adapts_to_the_support_and_predicts_the_query(name):
    task = toy_task()
    meta = LEARNERS[name](task)
    params, model_state, batch = setup(meta)
    got = meta.predict(params, model_state, batch)['quality']
    assert got.shape == (TASKS, QUERY)
    options = {
        'maml': {'inner_lr': 0.1, 'inner_steps': 3},
        'bilevel': {
            'inner_lr': (('head/.*', 1e-2), ('.*', 1e-4)), 'inner_steps': 1,
            'inner_optimizer': 'adam',
        },
        'adam': {'inner_lr': 0.1, 'inner_steps': 3, 'inner_optimizer': 'adam'},
    }
    for t in (0, TASKS - 1):
        support, query = (jax.tree.map(lambda x, t=t: x[t], batch[p]) for p in ('support', 'query'))
        ended, _ = adapt(task, params, model_state, support, jax.random.key(9),
                         **options.get(name, options['maml']))
        np.testing.assert_allclose(got[t], network(ended, query['x']), rtol=1e-4, atol=1e-5)


def test_meta_training_lowers_the_query_loss():
    meta = maml(toy_task(), inner_lr=0.1, inner_steps=3)
    params, model_state, batch = setup(meta)

    @jax.jit
    def step(params):
        value, gradient = jax.value_and_grad(
            lambda p: meta.loss(p, model_state, batch, jax.random.key(0), True)[0]
        )(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient), value

    values = []
    for _ in range(60):
        params, value = step(params)
        values.append(float(value))
    assert values[-1] < 0.6 * values[0]


def test_second_order_through_adam_is_finite_where_a_gradient_is_zero():
    meta = maml(toy_task(), inner_lr=0.1, inner_steps=2, inner_optimizer='adam')
    params, model_state, batch = setup(meta)
    params['head']['kernel'] = jnp.zeros_like(params['head']['kernel'])  # body gradients are 0
    _, gradient = value_and_gradient(meta, params, model_state, batch)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'inner_steps': 0}, 'inner_steps=0'),
        ({'order': 3}, 'order=3'),
        ({'inner_optimizer': 'adm'}, "'adm'; did you mean 'adam'"),
        ({'task_axis': 'map'}, "'map'; did you mean 'vmap'"),
        ({'adapt': 'haed/.*'}, 'haed'),
        ({'inner_lr': (('head/.*', 1.0),)}, "no pattern matches 'body/bias'"),
    ],
    ids=str,
)
def test_wrong_options_are_answered(options, message):
    params, model_state = toy_task().init(jax.random.key(0), {'x': np.zeros((1, 2))})

    def build_and_call(**options):
        maml(toy_task(), **options).loss(params, model_state, make_batch(), None, True)

    with pytest.raises(InputError, match=message):
        build_and_call(**{'inner_lr': 0.1, 'inner_steps': 1, **options})


def test_wrong_batches_and_parameters_are_answered():
    meta = maml(toy_task(), inner_lr=0.1, inner_steps=1, learn_inner_lr=True)
    params, model_state, batch = setup(meta)
    with pytest.raises(InputError, match='episodes'):
        meta.loss(params, model_state, batch['support'], None, False)
    with pytest.raises(InputError, match='under model'):
        meta.loss(params['model'], model_state, batch, None, False)
    batch['query']['y'] = batch['query']['y'][:3]
    with pytest.raises(InputError, match='query/y'):
        meta.loss(params, model_state, batch, None, False)

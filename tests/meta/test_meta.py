"""Ways of computing agree, padding does not count, training helps, wrong input is answered."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import toy_meta as toy
from vision_jax.core.errors import InputError
from vision_jax.meta.adapt import adapt
from vision_jax.meta.bilevel import bilevel
from vision_jax.meta.maml import maml
from vision_jax.meta.reptile import reptile

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
    params, model_state, batch = toy.setup(learner(toy.task()))
    value, gradient = toy.value_and_gradient(learner(toy.task()), params, model_state, batch)
    other_value, other = toy.value_and_gradient(
        learner(toy.task(), **way), params, model_state, batch
    )
    np.testing.assert_allclose(other_value, value, rtol=1e-6)
    toy.assert_close(other, gradient, 2e-6)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('name', LEARNERS)
def test_padded_episodes_and_examples_do_not_count(name, train):
    meta = LEARNERS[name](toy.task())
    params, model_state, batch = toy.setup(meta)
    batch['query']['mask'] = np.ones((toy.TASKS, toy.QUERY), np.float32)
    batch['query']['mask'][2, -1] = 0
    batch['query']['y'][2, -1] = 1e6
    real = jax.tree.map(lambda x: x[:5], batch)
    padded = {**batch, 'mask': (np.arange(toy.TASKS) < 5).astype(np.float32)}
    padded['query']['mask'][5:] = 0
    key = jax.random.key(3)
    want, (want_state, want_sums) = meta.loss(params, model_state, real, key, train)
    got, (state, sums) = meta.loss(params, model_state, padded, key, train)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert sums['squared_error'][1] == 5 * toy.QUERY - 1
    assert sums['support_loss'][1] == 5
    for part in sums:
        np.testing.assert_allclose(sums[part], want_sums[part], rtol=1e-6)
    assert state['calls'].dtype == jnp.int32
    np.testing.assert_allclose(state['mean'], want_state['mean'], rtol=1e-5)


@pytest.mark.parametrize('name', LEARNERS)
def test_predict_adapts_to_the_support_and_predicts_the_query(name):
    task = toy.task()
    meta = LEARNERS[name](task)
    params, model_state, batch = toy.setup(meta)
    got = meta.predict(params, model_state, batch)['quality']
    assert got.shape == (toy.TASKS, toy.QUERY)
    options = {
        'maml': {'inner_lr': 0.1, 'inner_steps': 3},
        'bilevel': {
            'inner_lr': (('head/.*', 1e-2), ('.*', 1e-4)), 'inner_steps': 1,
            'inner_optimizer': 'adam',
        },
        'adam': {'inner_lr': 0.1, 'inner_steps': 3, 'inner_optimizer': 'adam'},
    }
    for t in (0, toy.TASKS - 1):
        support, query = (jax.tree.map(lambda x, t=t: x[t], batch[p]) for p in ('support', 'query'))
        ended, _ = adapt(task, params, model_state, support, jax.random.key(9),
                         **options.get(name, options['maml']))
        np.testing.assert_allclose(got[t], toy.network(ended, query['x']), rtol=1e-4, atol=1e-5)


def test_meta_training_lowers_the_query_loss():
    meta = maml(toy.task(), inner_lr=0.1, inner_steps=3)
    params, model_state, batch = toy.setup(meta)

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
    meta = maml(toy.task(), inner_lr=0.1, inner_steps=2, inner_optimizer='adam')
    params, model_state, batch = toy.setup(meta)
    params['head']['kernel'] = jnp.zeros_like(params['head']['kernel'])  # body gradients are 0
    _, gradient = toy.value_and_gradient(meta, params, model_state, batch)
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
    params, model_state = toy.task().init(jax.random.key(0), {'x': np.zeros((1, 2))})

    def build_and_call(**options):
        maml(toy.task(), **options).loss(params, model_state, toy.make_batch(), None, True)

    with pytest.raises(InputError, match=message):
        build_and_call(**{'inner_lr': 0.1, 'inner_steps': 1, **options})


def test_wrong_batches_and_parameters_are_answered():
    meta = maml(toy.task(), inner_lr=0.1, inner_steps=1, learn_inner_lr=True)
    params, model_state, batch = toy.setup(meta)
    with pytest.raises(InputError, match='episodes'):
        meta.loss(params, model_state, batch['support'], None, False)
    with pytest.raises(InputError, match='under model'):
        meta.loss(params['model'], model_state, batch, None, False)
    batch['query']['y'] = batch['query']['y'][:3]
    with pytest.raises(InputError, match='query/y'):
        meta.loss(params, model_state, batch, None, False)

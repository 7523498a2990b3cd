"""The quality task: exact masked sums, its losses, and the errors of a wrong config."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from vision_jax import tasks
from vision_jax.core.errors import InputError
from vision_jax.iqa.stage_statistics import LinearHead
from vision_jax.losses import regression
from vision_jax.tasks.quality import quality_task


def batch(n: int, *, padding: int = 0) -> dict:
    generator = np.random.default_rng(0)
    real = {
        'features': generator.normal(size=(n, 3)).astype(np.float32),
        'quality': generator.normal(size=n).astype(np.float32),
    }
    padded = {k: np.concatenate([v, 9 + np.zeros((padding, *v.shape[1:]), v.dtype)])
              for k, v in real.items()}
    return {**padded, 'mask': np.repeat([1.0, 0.0], [n, padding]).astype(np.float32)}


@pytest.mark.parametrize('name', ['squared_error', 'absolute_error'])
def test_sums_are_over_real_examples_only(name):
    task = quality_task(LinearHead(), getattr(regression, name), field='features')
    params, model_state = task.init(jax.random.key(0), batch(5))
    params = jax.tree.map(lambda x: x + 0.5, params)
    value, (_, sums) = task.loss(
        params, model_state, batch(5, padding=3), jax.random.key(0), False
    )
    whole = batch(5)
    error = np.asarray(task.predict(params, model_state, whole)['quality']) - whole['quality']
    expected = np.square(error) if name == 'squared_error' else np.abs(error)
    np.testing.assert_allclose(value, expected.mean(), rtol=1e-6)
    np.testing.assert_allclose(sums['squared_error'], (np.square(error).sum(), 5), rtol=1e-6)
    np.testing.assert_allclose(sums['absolute_error'], (np.abs(error).sum(), 5), rtol=1e-6)


def test_a_batch_of_padding_alone_has_a_finite_loss():
    task = quality_task(LinearHead(), regression.squared_error, field='features')
    params, model_state = task.init(jax.random.key(0), batch(5))
    empty = {**batch(5), 'mask': jnp.zeros(5)}
    value, (_, sums) = task.loss(params, model_state, empty, jax.random.key(0), True)
    assert value == 0
    assert sums['loss'][1] == 0


def config(**changes) -> ml_collections.ConfigDict:
    values = {
        'task': 'quality', 'loss': 'squared_error', 'meta': {'name': ''},
        'train': {'compute_dtype': 'float32'},
        'model': {'name': 'metaiqa', 'input': 'image', 'variant': 'tiny'}, **changes,
    }
    return ml_collections.ConfigDict(values)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'task': 'qualty'}, "no task 'qualty'; did you mean 'quality'"),
        ({'loss': 'squared_eror'}, "no loss 'squared_eror'; did you mean 'squared_error'"),
        ({'meta': {'name': 'mamal'}}, "no meta-learner 'mamal'; did you mean 'maml'"),
        ({'model': {'name': 'metaiq', 'input': 'image'}}, "did you mean 'metaiqa'"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(config(**changes))


def test_meta_is_a_switch():
    episodes = {'meta': {'name': 'maml', 'inner_lr': 0.1, 'inner_steps': 1}}
    image = jnp.zeros((2, 3, 32, 32, 3))
    side = {'image': image, 'quality': jnp.zeros((2, 3))}
    task = tasks.make(config(**episodes))
    shapes = jax.eval_shape(task.init, jax.random.key(0), {'support': side, 'query': side})
    plain = tasks.make(config())
    expected = jax.eval_shape(
        plain.init, jax.random.key(0), jax.tree.map(lambda x: x[0], side)
    )
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, expected)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_inner_steps_are_float32_and_the_network_computes_in_the_type_asked_for(
    monkeypatch, dtype
):
    seen = []

    def learner(task):
        seen.append(task)
        return task

    monkeypatch.setattr(tasks.catalog, 'get', lambda name, get=tasks.catalog.get: (
        learner if name == 'maml' else get(name)))
    tasks.make(config(meta={'name': 'maml'}, train={'compute_dtype': dtype}))
    images = {'image': jnp.full((2, 16, 16, 3), 0.5), 'quality': jnp.zeros(2)}
    params, model_state = jax.eval_shape(seen[0].init, jax.random.key(0), images)

    def gradient(params, model_state):
        return jax.grad(lambda p: seen[0].loss(p, model_state, images, jax.random.key(1), False)[0]
                        )(params)

    program = str(jax.make_jaxpr(gradient)(params, model_state))
    assert ('bf16' in program) == (dtype == 'bfloat16')
    got = jax.eval_shape(gradient, params, model_state)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype('float32')}

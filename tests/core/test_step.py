"""The step's parts: micro-batches, average, precision, keys, padding; and how a state begins."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import toy_tasks
from vision_jax.core import metrics, paths, precision, rng, state, step
from vision_jax.core.errors import InputError
from vision_jax.core.task import Task


def linear_task() -> Task:
    """y = w x with squared error, summed in the type that it computes in."""
    def loss(params, model_state, batch, key, train):
        del key, train
        mask = batch.get('mask', jnp.ones_like(batch['y']))
        error = mask * jnp.square(batch['image'] @ params['w'] - batch['y'])
        count = mask.sum()
        return error.sum() / jnp.maximum(count, 1), (model_state, {'error': (error.sum(), count)})

    return Task(
        lambda key, batch: ({'w': jnp.ones(batch['image'].shape[-1])}, {}),
        loss,
        lambda params, model_state, batch: {'y': batch['image'] @ params['w']},
    )


def linear_batch(rows=6, seed=0):
    random = np.random.default_rng(seed)
    return {
        'image': random.normal(size=(rows, 3)).astype(np.float32),
        'y': random.normal(size=rows).astype(np.float32),
    }


def begin(task, batch, optimizer, *, ema=False, **options):
    """A state and its step on one device."""
    first = state.create(task, optimizer, batch, rng.run_key(0), ema=ema,
                         freeze=options.get('freeze', ()))
    return first, jax.jit(step.build_train_step(task, optimizer, **options))


def test_gradient_and_norms_equal_the_closed_form():
    batch = linear_batch()
    first, run = begin(linear_task(), batch, optax.sgd(0.25))
    after, sums = run(first, batch, first.key)
    x, y = np.float64(batch['image']), np.float64(batch['y'])
    gradient = 2 * x.T @ (x.sum(1) - y) / len(y)
    np.testing.assert_allclose(after.params['w'], 1 - 0.25 * gradient, rtol=1e-5)
    means = metrics.means(metrics.to_host(sums))
    assert means['grad_norm'] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    assert means['param_norm'] == pytest.approx(np.linalg.norm(after.params['w']), rel=1e-5)
    assert means['loss'] == pytest.approx(np.square(x.sum(1) - y).mean(), rel=1e-5)


def test_clipping_bounds_the_displacement_but_not_the_reported_norm():
    batch = linear_batch()
    optimizer = optax.chain(optax.clip_by_global_norm(1e-2), optax.sgd(1.0))
    first, run = begin(linear_task(), batch, optimizer)
    after, sums = run(first, batch, first.key)
    assert np.linalg.norm(after.params['w'] - first.params['w']) == pytest.approx(1e-2, rel=1e-3)
    assert float(sums['grad_norm'][0]) > 0.1


@pytest.mark.parametrize('backend', ['cpu', 'gpu'])
def test_uneven_micro_batches_add_up_to_the_whole(backend, monkeypatch):
    # Real rows 0, 1, 2, 4 of 6: micro-batches 0::3, 1::3, 2::3 hold 1, 2 and 1 of them.
    batch = {**linear_batch(), 'mask': np.float32([1, 1, 1, 0, 1, 0])}
    first, whole = begin(linear_task(), batch, toy_tasks.record_gradients())
    _, cut = begin(linear_task(), batch, toy_tasks.record_gradients(), accumulate=3)
    expected, expected_sums = whole(first, batch, first.key)
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    text = str(jax.make_jaxpr(cut)(first, batch, first.key))
    assert ('scan[' in text) == (backend == 'gpu')
    got, sums = cut(first, batch, first.key)
    assert toy_tasks.relative_error(got.opt_state, expected.opt_state) < 1e-6
    assert toy_tasks.relative_error(sums, expected_sums) < 1e-6
    assert float(sums['error'][1]) == 4


def test_model_state_passes_through_micro_batches_in_order():
    task, batch = toy_tasks.convolution_task('batch'), toy_tasks.image_batch(6)
    first, run = begin(task, batch, optax.sgd(0.0), accumulate=2)
    after, _ = run(first, batch, first.key)
    expected = first.model_state
    for part in (0, 1):
        rows = jax.tree.map(lambda x, at=part: x[at::2], batch)
        _, (expected, _) = task.loss(
            first.params, expected, rows, rng.as_key(first.key), True
        )
    assert toy_tasks.relative_error(after.model_state, expected) < 1e-6


def test_accumulate_must_divide_the_batch():
    first, run = begin(linear_task(), linear_batch(), optax.sgd(0.1), accumulate=4)
    with pytest.raises(InputError, match='accumulate=4 does not divide the 6 examples'):
        run(first, linear_batch(), first.key)


def test_a_batch_of_padding_moves_nothing():
    batch = {**linear_batch(), 'mask': np.zeros(6, np.float32)}
    first, run = begin(linear_task(), batch, optax.sgd(0.1))
    after, sums = run(first, batch, first.key)
    np.testing.assert_array_equal(after.params['w'], first.params['w'])
    assert not metrics.nonfinite(metrics.to_host(sums))
    assert np.isnan(metrics.means(metrics.to_host(sums))['loss'])


def test_moving_average_follows_its_formula_and_serves_evaluation():
    batch = linear_batch()
    first, run = begin(linear_task(), batch, optax.sgd(0.05), ema=True, ema_decay=0.15)
    current, average = first, np.float64(first.params['w'])
    for t in range(3):
        current, _ = run(current, batch, first.key)
        decay = min(0.15, (1 + t) / (10 + t))
        average = decay * average + (1 - decay) * np.float64(current.params['w'])
    np.testing.assert_allclose(current.ema['w'], average, rtol=1e-6)
    sums, outputs = jax.jit(step.build_eval_step(linear_task()))(current, batch)
    np.testing.assert_allclose(outputs['y'], batch['image'] @ average, rtol=1e-4, atol=1e-5)
    expected = np.square(batch['image'] @ average - batch['y']).sum()
    assert float(sums['loss'][0]) == pytest.approx(expected, rel=1e-4)


def test_frozen_leaves_have_no_gradient_no_norm_and_no_average():
    task, batch = toy_tasks.perceptron_task(), toy_tasks.feature_batch(8)
    first, run = begin(
        task, batch, toy_tasks.record_gradients(), ema=True, ema_decay=0.9, freeze=('hidden/.*',)
    )
    after, sums = run(first, batch, first.key)
    assert set(paths.flatten(after.opt_state)[0]) == {'head/bias', 'head/kernel'}
    assert set(paths.flatten(after.ema)[0]) == {'head/bias', 'head/kernel'}
    squares = sum(np.square(leaf).sum() for leaf in jax.tree.leaves(after.opt_state))
    assert float(sums['grad_norm'][0]) == pytest.approx(np.sqrt(squares), rel=1e-6)
    assert jax.tree.structure(after.eval_params()) == jax.tree.structure(after.params)


def test_a_non_finite_metric_is_named():
    batch = linear_batch()
    batch['y'][2] = np.inf
    first, run = begin(linear_task(), batch, optax.sgd(0.1))
    _, sums = run(first, batch, first.key)
    bad = metrics.nonfinite(metrics.to_host(sums))
    assert {'error', 'loss', 'grad_norm'} <= set(bad)


def test_an_overflow_of_the_update_shows_in_its_own_step():
    first, run = begin(linear_task(), linear_batch(), optax.sgd(1e38))
    _, sums = run(first, linear_batch(), first.key)
    assert metrics.nonfinite(metrics.to_host(sums)) == ['param_norm']


def test_each_step_and_micro_batch_draws_anew_and_a_resumed_step_draws_the_same():
    seen = []

    def loss(params, model_state, batch, key, train):
        del train
        noise = jax.random.normal(key, ())
        return params['w'].sum() * noise, (model_state, {'noise': (noise, jnp.ones(()))})

    task, batch = linear_task()._replace(loss=loss), linear_batch()
    first, run = begin(task, batch, optax.sgd(0.0))
    current = first
    for _ in range(3):
        before = current
        current, sums = run(current, batch, first.key)
        seen.append(float(sums['noise'][0]))
    assert len(set(seen)) == 3
    _, again = run(before, batch, first.key)
    assert float(again['noise'][0]) == seen[-1]
    _, cut = begin(task, batch, optax.sgd(0.0), accumulate=2)
    assert float(cut(first, batch, first.key)[1]['noise'][0]) != pytest.approx(2 * seen[0])


def test_bfloat16_leaves_labels_masks_and_counts_exact():
    rows = 1001  # not a bfloat16 number
    batch = {
        'image': np.ones((rows, 1), np.float32),
        'y': np.full(rows, 1 + 2**-12, np.float32),  # rounds to 1 in bfloat16
        'mask': np.ones(rows, np.float32),
    }
    task = precision.with_compute_dtype(linear_task(), 'bfloat16')
    first, run = begin(task, batch, optax.sgd(0.0))
    _, sums = run(first, batch, first.key)
    assert float(sums['error'][1]) == rows
    assert float(sums['error'][0]) == pytest.approx(rows * 2**-24, rel=1e-5)


def test_bfloat16_computes_in_bfloat16_and_returns_float32():
    seen = {}

    def predict(params, model_state, batch):
        seen.update(w=params['w'].dtype, image=batch['image'].dtype, index=batch['index'].dtype)
        return {'y': batch['image'] @ params['w']}

    task = precision.with_compute_dtype(linear_task()._replace(predict=predict), 'bfloat16')
    batch = {'image': jnp.full((2, 1), 1.01), 'index': jnp.arange(2)}
    out = task.predict({'w': jnp.ones(1)}, {}, batch)['y']
    assert seen == {'w': jnp.bfloat16, 'image': jnp.bfloat16, 'index': jnp.int32}
    assert out.dtype == jnp.float32
    assert out[0] == np.float32(jnp.bfloat16(1.01)) != np.float32(1.01)


def test_bfloat16_says_when_it_finds_nothing_to_cast():
    task = precision.with_compute_dtype(linear_task(), 'bfloat16')
    with pytest.raises(InputError, match='none of the fields image, features'):
        task.predict({'w': jnp.ones(1)}, {}, {'x': jnp.ones((1, 1))})
    with pytest.raises(InputError, match="'bfloat61'; did you mean 'bfloat16'"):
        precision.with_compute_dtype(linear_task(), 'bfloat61')


def test_loaded_weights_take_their_places_and_the_rest_stays_random():
    task, batch = toy_tasks.convolution_task('batch'), toy_tasks.image_batch(4)
    plain = state.create(task, optax.sgd(0.1), batch, rng.run_key(0))
    bias, mean = np.float32([1, 2, 3, 4]), np.float32([5, 6, 7, 8])
    loaded = {'params': {'conv': {'bias': bias}}, 'batch_stats': {'norm': {'mean': mean}}}
    first = state.create(task, optax.sgd(0.1), batch, rng.run_key(0), variables=loaded)
    np.testing.assert_array_equal(first.params['conv']['bias'], bias)
    np.testing.assert_array_equal(first.model_state['batch_stats']['norm']['mean'], mean)
    np.testing.assert_array_equal(first.params['head']['kernel'], plain.params['head']['kernel'])


def test_loaded_weights_that_do_not_fit_are_all_listed():
    task, batch = toy_tasks.perceptron_task(), toy_tasks.feature_batch(4)
    loaded = {'params': {'head': {'bias': np.zeros(2), 'scale': np.zeros(3)}}}
    with pytest.raises(InputError) as error:
        state.create(task, optax.sgd(0.1), batch, rng.run_key(0), variables=loaded)
    assert 'params/head/bias (2,) where (1,) was expected' in str(error.value)
    assert 'params/head/scale (3,) has no place' in str(error.value)


@pytest.mark.parametrize(
    ('freeze', 'message'),
    [
        (('heed/.*',), r"'heed/\.\*' matches no path such as 'head/bias'; did you mean 'head/"),
        (('head',), 'matches no path'),  # a pattern is for the whole path
        (('[',), r"'\[': "),
        (('.*',), 'leaves no parameter to train'),
    ],
)
def test_bad_freeze_patterns_are_answered(freeze, message):
    task, batch = toy_tasks.perceptron_task(), toy_tasks.feature_batch(4)
    with pytest.raises(InputError, match=message):
        state.create(task, optax.sgd(0.1), batch, rng.run_key(0), freeze=freeze)


def test_totals_merge_into_exact_means():
    first, second = {'a': (3.0, 2.0)}, {'a': (1.0, 6.0), 'b': (5.0, 1.0)}
    assert metrics.means(metrics.merge(first, second)) == {'a': 0.5, 'b': 5.0}
    assert metrics.nonfinite({'a': (1.0, 1.0), 'b': (np.nan, 1.0), 'c': (0.0, np.inf)}) == [
        'b', 'c'
    ]

"""Meta-gradients on many devices: equal to one device's, on every path that the engine offers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from vision_jax.core import parallel, state
from vision_jax.core.step import build_train_step
from vision_jax.core.task import Task
from vision_jax.meta.bilevel import bilevel
from vision_jax.meta.maml import maml

TASKS, SHOTS, SIDE, CHANNELS = 8, 3, 6, 4


def image_task() -> Task:
    """One convolution, a mean over space and a linear head."""

    def init(key, batch):
        a, b = jax.random.split(key)
        return {
            'conv': {'kernel': 0.4 * jax.random.normal(a, (3, 3, 3, CHANNELS))},
            'head': {'kernel': 0.5 * jax.random.normal(b, (CHANNELS, 1))},
        }, {}

    def quality(params, batch):
        x = jax.lax.conv_general_dilated(
            batch['image'], params['conv']['kernel'], (1, 1), 'SAME',
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )
        return (jnp.tanh(x).mean((1, 2)) @ params['head']['kernel'])[..., 0]

    def loss(params, model_state, batch, key, train):
        errors = jnp.square(quality(params, batch) - batch['quality'])
        return errors.mean(), ({}, {'squared_error': (errors.sum(), 1.0 * errors.size)})

    def predict(params, model_state, batch):
        return {'quality': quality(params, batch)}

    return Task(init, loss, predict)


def make_batch():
    generator = np.random.default_rng(0)
    return {
        part: {
            'image': generator.random((TASKS, SHOTS, SIDE, SIDE, 3), np.float32),
            'quality': generator.normal(size=(TASKS, SHOTS)).astype(np.float32),
        }
        for part in ('support', 'query')
    }


def keep_gradient() -> optax.GradientTransformation:
    """Changes nothing and keeps the gradient: Adam's steps would hide one k times too large."""
    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda gradient, _, params: (jax.tree.map(jnp.zeros_like, params), gradient),
    )


def gradient_on(task, backend, devices):
    """The gradient and the totals that the engine's train step computes."""
    layout = parallel.make_layout(backend, devices=jax.devices()[:devices])
    batch, key = make_batch(), jax.random.key(0)
    step = parallel.train_step(
        functools.partial(build_train_step, task, keep_gradient()), layout
    )
    begin = state.create(task, keep_gradient(), batch, key)
    after, sums = step(
        parallel.replicate(begin, layout), parallel.place_batch(batch, layout),
        parallel.replicate(jax.random.key_data(key), layout),
    )
    return jax.device_get((after.opt_state, {k: v for k, v in sums.items() if k != 'param_norm'}))


def alone(task):
    """The same by `jax.grad` on one device, without the engine."""
    batch = make_batch()
    params, model_state = jax.jit(task.init)(jax.random.key(0), batch)
    gradient = jax.jit(jax.grad(lambda p: task.loss(p, model_state, batch, None, True)[0]))
    return jax.device_get(gradient(params))


def relative_error(got, want) -> float:
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max() / np.abs(b).max(), got, want)
    return max(jax.tree.leaves(gaps))


SECOND_ORDER = functools.partial(maml, inner_lr=0.1, inner_steps=2)


@pytest.mark.parametrize('backend', parallel.BACKENDS)
@pytest.mark.parametrize(
    'learner',
    [
        SECOND_ORDER,
        functools.partial(SECOND_ORDER, task_axis='unroll'),
        functools.partial(SECOND_ORDER, learn_inner_lr=True),
        functools.partial(bilevel, inner_lr=0.5, inner_optimizer='sgd'),
    ],
    ids=['maml', 'unrolled', 'meta_sgd', 'bilevel'],
)
def test_eight_devices_have_the_gradient_of_one(learner, backend):
    task = learner(image_task())
    want = alone(task)
    one, one_sums = gradient_on(task, backend, 1)
    eight, eight_sums = gradient_on(task, backend, 8)
    assert relative_error(one, want) < 1e-6
    assert relative_error(eight, want) < 1e-6
    assert eight_sums['squared_error'][1] == TASKS * SHOTS
    assert eight_sums['support_loss'][1] == TASKS
    for name, pair in one_sums.items():
        np.testing.assert_allclose(eight_sums[name], pair, rtol=1e-5)


def test_shard_map_with_its_default_check_is_wrong_and_without_it_is_right():
    """Checked, it sums the inner gradients of replicated parameters over devices, unasked."""
    task = SECOND_ORDER(image_task())
    batch, want = make_batch(), alone(task)
    params, model_state = jax.jit(task.init)(jax.random.key(0), batch)
    mesh = jax.make_mesh((8,), ('batch',), axis_types=(jax.sharding.AxisType.Auto,))

    def gradient(check):
        def on_device(params, batch):
            one = jax.grad(lambda p: task.loss(p, model_state, batch, None, True)[0])(params)
            return one if check else jax.lax.pmean(one, 'batch')

        mapped = jax.shard_map(
            on_device, mesh=mesh, in_specs=(P(), P('batch')), out_specs=P(), check_vma=check
        )
        return jax.device_get(jax.jit(mapped)(params, batch))

    assert relative_error(gradient(False), want) < 1e-6
    # The outer gradient is a sum over the devices too, and that alone would be a factor of 8.
    checked = jax.tree.map(lambda g: g / 8, gradient(True))
    assert relative_error(checked, want) > 0.05

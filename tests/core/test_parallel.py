"""Devices and processes: both backends, placement, errors, and two real processes."""

import functools
import os
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import toy_tasks
from vision_jax.core import metrics, parallel, rng, state, step
from vision_jax.core.errors import InputError

over_backends = pytest.mark.parametrize('backend', parallel.BACKENDS)


def start(layout, optimizer, batch, **options):
    """State, key and compiled step of the toy regression."""
    task = toy_tasks.perceptron_task()
    first = state.create(task, optimizer, batch, rng.run_key(0))
    build = functools.partial(step.build_train_step, task, optimizer, **options)
    compiled = parallel.train_step(build, layout)
    placed = parallel.replicate((first, rng.run_key(0)), layout)
    return first, *placed, compiled


@pytest.mark.parametrize(('backend', 'rows'), [('pmap', 2), ('jit', 16)])
def test_the_step_sees_its_share_without_the_device_axis(backend, rows):
    layout, seen = parallel.make_layout(backend), {}

    def build(axis_name):
        def body(carry, batch, key):
            seen.update(jax.tree.map(jnp.shape, batch), key=key.shape, axis_name=axis_name)
            return carry, {'n': (jnp.zeros(()), jnp.zeros(()))}
        return body

    batch = parallel.place_batch({'x': np.zeros((16, 3)), 'y': np.zeros(16)}, layout)
    carry, key = parallel.replicate((jnp.zeros(4), rng.run_key(0)), layout)
    parallel.train_step(build, layout)(carry, batch, key)
    axis_name = 'batch' if backend == 'pmap' else None
    assert seen == {'x': (rows, 3), 'y': (rows,), 'key': (2,), 'axis_name': axis_name}


@over_backends
def test_a_step_moves_nothing_between_host_and_devices_and_reuses_the_state(backend):
    layout, batch = parallel.make_layout(backend), toy_tasks.feature_batch(16)
    first, carried, key, compiled = start(layout, optax.adam(1e-2), batch)
    host = jax.device_get(first)
    placed = parallel.place_batch(batch, layout)
    with jax.transfer_guard('disallow'):
        after, _ = compiled(carried, placed, key)
        again, _ = compiled(after, placed, key)
    assert jax.tree.leaves(carried.params)[0].is_deleted()
    assert jax.tree.leaves(again.params)[0].sharding.is_fully_replicated
    # The original is another copy: still there, and as it was.
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), host)


@over_backends
def test_replicate_leaves_host_arrays_alone(backend):
    layout = parallel.make_layout(backend, devices=jax.devices()[:1])
    host = np.zeros((64, 64), np.float32)

    def build(axis_name):
        del axis_name
        return lambda carry, batch, key: (carry + 1, {})

    carry = parallel.replicate(host, layout)
    batch = parallel.place_batch({'x': np.zeros(1)}, layout)
    carry, _ = parallel.train_step(build, layout)(carry, batch, carry[0])
    assert np.asarray(carry).min() == 1
    assert host.max() == 0


@over_backends
def test_the_number_of_devices_can_change_between_steps(backend):
    batch = toy_tasks.feature_batch(16)
    results = []
    for counts in ((8, 8), (8, 2), (1, 4)):
        carried = None
        for count in counts:
            layout = parallel.make_layout(backend, devices=jax.devices()[:count])
            first, fresh, key, compiled = start(layout, optax.sgd(0.5), batch)
            if carried is not None:
                fresh = parallel.replicate(jax.device_get(carried), layout)
            carried, _ = compiled(fresh, parallel.place_batch(batch, layout), key)
        results.append(jax.tree.map(np.subtract, carried.params, jax.device_get(first.params)))
    assert toy_tasks.relative_error(results[1], results[0]) < 1e-6
    assert toy_tasks.relative_error(results[2], results[0]) < 1e-6


@over_backends
def test_gather_returns_rows_in_the_order_of_the_batch(backend):
    layout, rows = parallel.make_layout(backend), np.arange(24.0, dtype=np.float32)
    task = toy_tasks.perceptron_task()._replace(
        predict=lambda params, model_state, batch: {'row': batch['quality'], 'pair': batch['pair']}
    )
    batch = {**toy_tasks.feature_batch(24), 'quality': rows, 'pair': np.stack([rows, -rows], -1)}
    first = state.create(task, optax.sgd(0.1), batch, rng.run_key(0))
    run = parallel.eval_step(functools.partial(step.build_eval_step, task), layout)
    _, outputs = run(parallel.replicate(first, layout), parallel.place_batch(batch, layout))
    outputs = parallel.gather(outputs, layout)
    np.testing.assert_array_equal(outputs['row'], rows)
    np.testing.assert_array_equal(outputs['pair'], batch['pair'])
    np.testing.assert_array_equal(parallel.gather({'label': rows}, layout)['label'], rows)


@over_backends
@pytest.mark.parametrize(
    ('batch', 'message'),
    [
        ({'x': np.zeros(12)}, '12 examples does not divide over 8 devices'),
        ({'x': np.zeros(16), 'y': np.zeros(8)}, r"'y': expected numbers with 16 rows.*\(8,\)"),
        ({'x': np.zeros(16), 'y': np.float32(1)}, r"'y': expected numbers with 16 rows.*\(\)"),
        ({'a': {'path': np.array(['p'] * 16)}}, r"'a/path': expected numbers.*<U1"),
        ({}, 'does not divide'),
    ],
)
def test_a_batch_that_cannot_be_placed_is_refused(backend, batch, message):
    with pytest.raises(InputError, match=message):
        parallel.place_batch(batch, parallel.make_layout(backend))


def test_an_unknown_backend_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="'pmapp'; did you mean 'pmap'"):
        parallel.make_layout('pmapp')


PROCESS = """
import sys
import jax, numpy as np
address, index, folder, repository = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path.insert(0, repository)
jax.config.update('jax_num_cpu_devices', 2)
jax.distributed.initialize(address, num_processes=2, process_id=index)
from tests.core import test_parallel
test_parallel.two_process_part(index, folder)
"""


def two_process_part(index: int, folder: str) -> None:
    """What each of the two processes does: its half of the batch, both backends."""
    whole = toy_tasks.with_mask(toy_tasks.feature_batch(16), 13)
    half = jax.tree.map(lambda x: np.split(x, 2)[index], whole)
    for backend in parallel.BACKENDS:
        layout = parallel.make_layout(backend)
        assert layout.num_devices == 4
        _, carried, key, compiled = start(layout, toy_tasks.record_gradients(), half)
        batch = parallel.place_batch(half, layout)
        carried, sums = compiled(carried, batch, key)
        build = functools.partial(step.build_eval_step, toy_tasks.perceptron_task())
        eval_sums, outputs = parallel.eval_step(build, layout)(carried, batch)
        rows = parallel.gather({**outputs, 'label': half['quality']}, layout)
        saved = parallel.as_global(carried, layout)
        assert {leaf.sharding.num_devices for leaf in jax.tree.leaves(saved)} == {4}
        again = parallel.replicate(jax.device_get(carried), layout)
        jax.tree.map(np.testing.assert_array_equal, again, carried)
        gradient = np.concatenate([np.ravel(x) for x in jax.tree.leaves(carried.opt_state)])
        loss, eval_loss = metrics.to_host(sums)['loss'], metrics.to_host(eval_sums)['loss']
        np.savez(
            f'{folder}/{backend}{index}.npz', gradient=gradient, loss=loss, eval_loss=eval_loss,
            **rows,
        )


def test_two_processes_equal_one(tmp_path, repository):
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        address = f'localhost:{probe.getsockname()[1]}'
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu'}
    command = [sys.executable, '-c', PROCESS, address]
    processes = [
        subprocess.Popen(
            [*command, str(index), str(tmp_path), str(repository)], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in range(2)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output[-3000:]
    batch = toy_tasks.with_mask(toy_tasks.feature_batch(16), 13)
    layout = parallel.make_layout('pmap', devices=jax.devices()[:1])
    _, carried, key, compiled = start(layout, toy_tasks.record_gradients(), batch)
    carried, sums = compiled(carried, parallel.place_batch(batch, layout), key)
    expected = np.concatenate([np.ravel(x) for x in jax.tree.leaves(carried.opt_state)])
    loss = metrics.to_host(sums)['loss']
    for path in [pathlib.Path(tmp_path, f'{b}{i}.npz') for b in parallel.BACKENDS for i in (0, 1)]:
        with np.load(path) as got:
            assert toy_tasks.relative_error(got['gradient'], expected) < 1e-6
            np.testing.assert_allclose(got['loss'], loss, rtol=1e-6)
            np.testing.assert_allclose(got['eval_loss'], loss, rtol=1e-6)
            np.testing.assert_array_equal(got['label'], batch['quality'])
            np.testing.assert_array_equal(got['mask'], batch['mask'])
            assert got['quality'].shape == (16,)


def test_each_device_draws_its_own_numbers_and_running_averages_are_shared():
    layout, batch = parallel.make_layout('pmap'), toy_tasks.image_batch(16)
    task = toy_tasks.convolution_task('batch')

    def loss(params, model_state, batch, key, train):
        value, (model_state, _) = task.loss(params, model_state, batch, key, train)
        noise = jax.random.normal(key, ())
        sums = {'noise': (noise, jnp.ones(())), 'square': (noise**2, jnp.ones(()))}
        return value, (model_state, sums)

    first = state.create(task, optax.sgd(0.1), batch, rng.run_key(0))
    build = functools.partial(step.build_train_step, task._replace(loss=loss), optax.sgd(0.1))
    carried, key = parallel.replicate((first, rng.run_key(0)), layout)
    compiled = parallel.train_step(build, layout)
    after, sums = compiled(carried, parallel.place_batch(batch, layout), key)
    means = metrics.means(metrics.to_host(sums))
    assert means['square'] > means['noise'] ** 2 + 0.1  # their variance: not one number 8 times
    states = [
        task.loss(
            first.params, first.model_state,
            jax.tree.map(lambda x, d=d: np.split(x, 8)[d], batch), rng.as_key(key), True,
        )[1][0]
        for d in range(8)
    ]
    expected = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *states)
    assert toy_tasks.relative_error(after.model_state, expected) < 1e-6

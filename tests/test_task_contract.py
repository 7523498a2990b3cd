"""What every task must do under the engine: one table, the same tests for each row."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import toy_tasks
from vision_jax.core import metrics, parallel, paths, rng, state, step
from vision_jax.core.precision import with_compute_dtype
from vision_jax.core.task import Task
from vision_jax.meta.maml import maml


class Row(NamedTuple):
    """A task under test.

    Attributes:
        name: Shown by pytest.
        make_task: `() -> Task`.
        make_batch: `(rows, seed) -> batch` in host memory.
        whole_batch: Whether its loss depends on the batch as a whole (batch statistics), so that
            parts of the batch do not add up to it.
        per_row: Labelled examples that a row of the batch stands for.
        rounding: Greatest relative difference of gradients that the order of sums explains.
    """

    name: str
    make_task: Callable[[], Task]
    make_batch: Callable[..., dict]
    whole_batch: bool = False
    rounding: float = 1e-6
    per_row: int = 1


ROWS = [
    Row('perceptron', toy_tasks.perceptron_task, toy_tasks.feature_batch),
    Row('group_norm', lambda: toy_tasks.convolution_task('group'), toy_tasks.image_batch),
    Row(
        'batch_norm', lambda: toy_tasks.convolution_task('batch'), toy_tasks.image_batch,
        whole_batch=True,
        rounding=1e-5,  # variance as E[x^2] - E[x]^2 in float32, over 32 images at once
    ),
    Row(
        'maml', lambda: maml(toy_tasks.perceptron_task(), inner_lr=0.1, inner_steps=2),
        toy_tasks.episode_batch, per_row=3,
    ),
]
BATCH = 32

over_rows = pytest.mark.parametrize('row', ROWS, ids=[row.name for row in ROWS])
over_backends = pytest.mark.parametrize('backend', parallel.BACKENDS)


class Run:
    """A task, its state and its compiled step on a layout."""

    def __init__(self, task, batch, optimizer, *, backend='pmap', devices=None, **options):
        self.layout = parallel.make_layout(backend, devices=devices)
        self.first = state.create(
            task, optimizer, batch, rng.run_key(0), freeze=options.get('freeze', ())
        )
        self.state = parallel.replicate(self.first, self.layout)
        self.key = parallel.replicate(rng.run_key(0), self.layout)
        build = functools.partial(step.build_train_step, task, optimizer, **options)
        self.compiled = parallel.train_step(build, self.layout)

    def step(self, batch):
        """One step; returns its totals."""
        placed = parallel.place_batch(batch, self.layout)
        self.state, sums = self.compiled(self.state, placed, self.key)
        return metrics.to_host(sums)


def parts_of(batch: dict, devices: int, accumulate: int) -> list[dict]:
    """The batch as each device and micro-batch sees it, cut by NumPy."""
    chunks = [
        jax.tree.map(lambda x, d=d: np.split(np.asarray(x), devices)[d], batch)
        for d in range(devices)
    ]
    return [
        jax.tree.map(lambda x, i=i: x[i::accumulate], chunk)
        for chunk in chunks for i in range(accumulate)
    ]


def reference_gradient(task: Task, first: state.TrainState, parts: list[dict]):
    """sum n_i grad(loss_i) / sum n_i, one part after the other on one device."""
    gradient = jax.jit(jax.grad(lambda *args: task.loss(*args)[0]), static_argnums=4)
    counts = [part['mask'].sum() if 'mask' in part else toy_tasks.num_rows(part) for part in parts]
    gradients = [
        gradient(first.params, first.model_state, part, rng.as_key(rng.run_key(0)), True)
        for part in parts
    ]
    return jax.tree.map(
        lambda *leaves: sum(n * np.float64(leaf) for n, leaf in zip(counts, leaves, strict=True))
        / sum(counts),
        *gradients,
    )


@over_rows
@over_backends
def test_three_steps_are_finite_and_traced_once(row, backend):
    task, batch = row.make_task(), row.make_batch(BATCH)
    traces = []

    def loss(*args):
        traces.append(1)
        return task.loss(*args)

    run = Run(task._replace(loss=loss), batch, optax.adam(1e-2), backend=backend)
    totals = [run.step(batch)]
    after_first = len(traces)
    totals += [run.step(row.make_batch(BATCH, seed)) for seed in (1, 2)]
    assert len(traces) == after_first
    assert int(run.state.step) == 3
    assert not any(metrics.nonfinite(total) for total in totals)
    assert {'loss', 'grad_norm', 'param_norm'} <= set(totals[0])


@over_rows
def test_loss_falls_on_a_fixed_batch(row):
    batch = row.make_batch(BATCH)
    run = Run(row.make_task(), batch, optax.adam(3e-2))
    losses = [metrics.means(run.step(batch))['loss'] for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


@over_rows
@over_backends
@pytest.mark.parametrize(('accumulate', 'real'), [(1, BATCH), (2, BATCH - 5)])
def test_gradients_of_eight_devices_equal_those_of_one(row, backend, accumulate, real):
    task = row.make_task()
    batch = toy_tasks.with_mask(row.make_batch(BATCH), real)
    run = Run(
        task, batch, toy_tasks.record_gradients(), backend=backend, accumulate=accumulate
    )
    totals = run.step(batch)
    devices = run.layout.num_devices if backend == 'pmap' else 1
    exact = reference_gradient(task, run.first, parts_of(batch, devices, accumulate))
    assert run.layout.num_devices == 8
    assert toy_tasks.relative_error(run.state.opt_state, exact) < row.rounding
    assert totals['loss'][1] == real * row.per_row
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(exact)))
    assert totals['grad_norm'][0] == pytest.approx(norm, rel=1e-5)
    if not row.whole_batch:
        whole = reference_gradient(task, run.first, [batch])
        assert toy_tasks.relative_error(run.state.opt_state, whole) < row.rounding


@over_rows
@over_backends
def test_evaluation_is_exact_with_a_padded_last_batch(row, backend):
    task, examples, size = row.make_task(), 27, 16
    data = row.make_batch(examples)
    layout = parallel.make_layout(backend)
    first = state.create(task, optax.sgd(0.1), row.make_batch(size), rng.run_key(0))
    run = parallel.eval_step(functools.partial(step.build_eval_step, task), layout)
    placed, totals, rows = parallel.replicate(first, layout), {}, []
    for start in range(0, examples, size):
        part = jax.tree.map(lambda x, at=start: x[at:at + size], data)
        real = toy_tasks.num_rows(part)
        part = jax.tree.map(lambda x: np.resize(x, (size, *x.shape[1:])), part)
        sums, outputs = run(
            placed, parallel.place_batch(toy_tasks.with_mask(part, real), layout)
        )
        outputs = parallel.gather(outputs, layout)
        totals = metrics.merge(totals, metrics.to_host(sums))
        rows.append(jax.tree.map(lambda x, keep=outputs['mask'] > 0: x[keep], outputs))
    key = rng.as_key(first.key)
    _, (_, expected) = task.loss(first.params, first.model_state, data, key, False)
    for name, (total, count) in expected.items():
        assert totals[name][1] == float(count)
        assert totals[name][0] == pytest.approx(float(total), rel=1e-5)
    assert totals['loss'][1] == examples * row.per_row
    quality = np.concatenate([part['quality'] for part in rows])
    direct = task.predict(first.params, first.model_state, data)['quality']
    np.testing.assert_allclose(quality, direct, rtol=1e-5, atol=1e-6)


@over_rows
def test_frozen_leaves_stay_bit_equal_and_the_rest_moves(row):
    batch, task = row.make_batch(BATCH), row.make_task()
    run = Run(task, batch, optax.adam(1e-1), freeze=('head/.*',))
    for _ in range(2):
        run.step(batch)
    names, before, _ = paths.flatten(run.first.params)
    _, after, _ = paths.flatten(run.state.params)
    for name, old, new in zip(names, before, after, strict=True):
        assert np.array_equal(old, new) == name.startswith('head/'), name
    moments, _, _ = paths.flatten(run.state.opt_state)
    assert moments
    assert not [name for name in moments if 'head' in name]


@over_rows
@over_backends
def test_bfloat16_is_near_float32_and_keeps_the_state_in_float32(row, backend):
    batch, task = row.make_batch(BATCH), row.make_task()
    exact, coarse = (
        Run(with_compute_dtype(task, dtype), batch, toy_tasks.record_gradients(), backend=backend)
        for dtype in ('float32', 'bfloat16')
    )
    loss, coarse_loss = exact.step(batch)['loss'], coarse.step(batch)['loss']
    assert coarse_loss == pytest.approx(loss, rel=0.05)
    assert coarse_loss[0] != loss[0]
    assert toy_tasks.relative_error(coarse.state.opt_state, exact.state.opt_state) < 0.05
    kept = jax.tree.leaves((coarse.state.params, coarse.state.model_state, coarse.state.opt_state))
    assert {leaf.dtype for leaf in kept} == {jnp.dtype('float32')}

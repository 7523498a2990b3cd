"""The train step and the evaluation step, built once for all tasks."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vision_jax.core import paths, rng
from vision_jax.core.errors import InputError
from vision_jax.core.state import TrainState
from vision_jax.core.task import Batch, Sums, Task

TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Sums]]
EvalStep = Callable[[TrainState, Batch], tuple[Sums, dict[str, Any]]]


def build_train_step(
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    ema_decay: float = 0.0,
    freeze: Sequence[str] = (),
    axis_name: str | None = None,
) -> TrainStep:
    """One step of training as a pure function, to be compiled by `core/parallel.py`.

    gradient = sum_i n_i grad(loss_i) / sum_i n_i over micro-batches and devices i, where n_i is
    the number of real examples (`mask` 1) of part i. For a loss that is a mean over real examples
    this is the gradient of the whole batch, however it is cut.

    Args:
        task: The problem.
        optimizer: Applied to the trainable parameters only.
        accumulate: Micro-batches that a device's share of the batch is cut into; it must divide
            that share. Micro-batch i takes the examples i, i + accumulate, ...
        ema_decay: Decay d of the moving average of parameters, in [0, 1); 0 keeps none. Step t
            uses min(d, (1 + t) / (10 + t)), so that the start is forgotten early on.
        freeze: Patterns of parameters left as they are (`paths.select`).
        axis_name: The axis of devices if the step is mapped over them, else None.

    Returns:
        `step(state, batch, key) -> (state, metrics)`. `key` is the run's key, the same at each
        step. `metrics` maps names to (sum, count): the task's, its `loss`, and with count 1 the
        norms `grad_norm` (before clipping) and `param_norm` (after the step). A step that went
        wrong shows as a non-finite pair (`metrics.nonfinite`).

    Raises:
        InputError: If `accumulate` does not divide the batch, or a pattern matches nothing.

    Notes:
        A model with batch statistics sees them per micro-batch and device; its running averages
        are then averaged over devices.
    """

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Sums]:
        trainable, frozen = paths.split(state.params, freeze)
        part_gradient = _part_gradient(task, frozen)
        gradients, model_state, sums = _accumulated(
            part_gradient, trainable, state.model_state, batch,
            rng.step_key(key, state.step, axis_name=axis_name), accumulate,
        )
        gradients, model_state, sums = _over_devices(gradients, model_state, sums, axis_name)
        updates, opt_state = optimizer.update(gradients, state.opt_state, trainable)
        trainable = optax.apply_updates(trainable, updates)
        one = jnp.ones(())
        sums['grad_norm'] = (optax.tree.norm(gradients), one)
        sums['param_norm'] = (optax.tree.norm(trainable), one)
        state = state.replace(
            step=state.step + 1,
            params=paths.join(trainable, frozen),
            model_state=model_state,
            opt_state=opt_state,
            ema=_moved_average(state.ema, trainable, state.step, ema_decay),
        )
        return state, sums

    return step


def build_eval_step(task: Task, *, axis_name: str | None = None) -> EvalStep:
    """Evaluation of one batch as a pure function, to be compiled by `core/parallel.py`.

    Args:
        task: The problem.
        axis_name: The axis of devices if the step is mapped over them, else None.

    Returns:
        `step(state, batch) -> (sums, outputs)` with the moving average of the parameters where
        there is one: totals over the real examples of the whole batch, and the task's outputs, one
        row an example, padding included; `outputs['mask']` is 0 on its rows.
    """

    def step(state: TrainState, batch: Batch) -> tuple[Sums, dict[str, Any]]:
        params = state.eval_params()
        key = rng.step_key(state.key, state.step, axis_name=axis_name)
        loss, (_, sums) = task.loss(params, state.model_state, batch, key, False)
        sums = _with_loss(sums, loss, real_examples(batch))
        if axis_name is not None:
            sums = jax.lax.psum(sums, axis_name)
        mask = batch.get('mask', jnp.ones(num_rows(batch)))
        return sums, {**task.predict(params, state.model_state, batch), 'mask': mask}

    return step


def num_rows(batch: Batch) -> int:
    """Examples of a batch, padding included: the length of its leading axis."""
    return jax.tree.leaves(batch)[0].shape[0]


def real_examples(batch: Batch) -> jax.Array:
    """Examples of a batch without its padding: the sum of `mask`, or all."""
    return batch['mask'].sum() if 'mask' in batch else jnp.asarray(num_rows(batch), jnp.float32)


def _with_loss(sums: Sums, loss: jax.Array, count: jax.Array) -> Sums:
    """The task's sums, with its loss if it does not sum that itself."""
    return {'loss': (loss.astype(jnp.float32) * count, count), **sums}


def _part_gradient(task: Task, frozen: Any) -> Callable:
    """`(trainable, model_state, batch, key) -> (n * gradient, n, model_state, sums)`."""

    def loss(trainable, model_state, batch, key):
        return task.loss(paths.join(trainable, frozen), model_state, batch, key, True)

    def part(trainable, model_state, batch, key):
        (value, (model_state, sums)), gradients = jax.value_and_grad(loss, has_aux=True)(
            trainable, model_state, batch, key
        )
        count = real_examples(batch)
        weighted = jax.tree.map(lambda g: g * count.astype(g.dtype), gradients)
        return (weighted, count), model_state, _with_loss(sums, value, count)

    return part


def _accumulated(part_gradient, trainable, model_state, batch, key, parts: int):
    """Runs `part_gradient` over micro-batches, one after the other, and adds up."""
    if parts == 1:
        return part_gradient(trainable, model_state, batch, key)
    micro_batches = _cut(batch, parts)

    def body(model_state, index):
        micro = jax.tree.map(lambda x: x[:, index], micro_batches)
        weighted, model_state, sums = part_gradient(
            trainable, model_state, micro, jax.random.fold_in(key, index)
        )
        return model_state, (weighted, sums)

    # Inside a loop XLA's CPU backend loses its fast convolution; elsewhere a loop compiles faster.
    if jax.default_backend() != 'cpu':
        return _scanned(body, model_state, parts)
    totals = None
    for index in range(parts):
        model_state, new = body(model_state, index)
        totals = new if totals is None else jax.tree.map(jnp.add, totals, new)
    return totals[0], model_state, totals[1]


def _scanned(body, model_state, parts: int):
    """The same sum by `lax.scan`, which holds one micro-batch's gradients at a time."""
    shapes = jax.eval_shape(body, model_state, 0)[1]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(carry, index):
        model_state, new = body(carry[0], index)
        return (model_state, jax.tree.map(jnp.add, carry[1], new)), None

    (model_state, totals), _ = jax.lax.scan(add, (model_state, zeros), jnp.arange(parts))
    return totals[0], model_state, totals[1]


def _cut(batch: Batch, parts: int) -> Batch:
    """Leaves [b, ...] to [b / parts, parts, ...]: each part keeps the batch's spread on devices."""
    rows = num_rows(batch)
    if rows % parts:
        raise InputError(
            f'accumulate={parts} does not divide the {rows} examples that a device gets; '
            'choose another batch size or accumulate'
        )
    return jax.tree.map(lambda x: x.reshape(rows // parts, parts, *x.shape[1:]), batch)


def _over_devices(weighted, model_state, sums, axis_name: str | None):
    """The gradient, running averages and totals of all devices, the same on each."""
    if axis_name is not None:
        weighted = jax.lax.pmean(weighted, axis_name)
        sums = jax.lax.psum(sums, axis_name)
        model_state = jax.tree.map(lambda x: _shared(x, axis_name), model_state)
    gradients, count = weighted
    share = jnp.where(count > 0, count, 1)  # a batch of padding only has gradient 0
    return jax.tree.map(lambda g: g / share.astype(g.dtype), gradients), model_state, dict(sums)


def _shared(x: jax.Array, axis_name: str) -> jax.Array:
    """The mean over devices; of a counter, which is the same on all, the greatest."""
    reduce = jax.lax.pmean if jnp.issubdtype(x.dtype, jnp.inexact) else jax.lax.pmax
    return reduce(x, axis_name)


def _moved_average(ema, trainable, step: jax.Array, decay: float):
    """d * ema + (1 - d) * parameters with d = min(decay, (1 + step) / (10 + step)), or None.

    Source: the warm-up of `tf.train.ExponentialMovingAverage(num_updates=step)`.
    """
    if ema is None:
        return None
    warm = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, p: a + (1 - warm).astype(p.dtype) * (p - a), ema, trainable)

"""What all meta-learners share: episodes mapped over, averaged and counted exactly."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vision_jax.core import paths
from vision_jax.core.errors import InputError, nearest
from vision_jax.core.task import Batch, Task
from vision_jax.meta import adapt

TASK_AXES = ('vmap', 'unroll')


def episodic(
    init: Callable, learn: Callable, adapt_to: Callable, predict: Callable, *, task_axis: str
) -> Task:
    """A task over batches of episodes from functions of one episode.

    Args:
        init: `(key, support of all tasks as one batch) -> (params, model_state)`.
        learn: `(params, model_state, episode, key, train) -> (loss, (model_state, sums))`.
        adapt_to: `(params, model_state, support, key) -> (params, model_state)`, with the inner
            task's parameters.
        predict: The inner task's.
        task_axis: 'vmap' computes the tasks of a batch together, 'unroll' one after the other in
            one program. Results are equal; which is faster depends on the network.

    Returns:
        A task whose loss is the mean over the real episodes, whose new model state is the mean of
        theirs, and whose predictions on the query have leaves `[t, q, ...]`.
    """
    if task_axis not in TASK_AXES:
        raise InputError(f"no task_axis '{task_axis}'{nearest(task_axis, TASK_AXES)}")

    def meta_init(key, batch):
        check_episodes(batch)
        support = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch['support'])
        return init(key, support)

    def meta_loss(params, model_state, batch, key, train):
        def one(episode, key):
            return learn(params, model_state, episode, key, train)

        losses, (states, sums) = over_tasks(one, batch, key, task_axis)
        real = jnp.asarray(batch.get('mask', jnp.ones(losses.shape)), losses.dtype)  # [t]
        share = real / jnp.maximum(real.sum(), 1)
        state = jax.tree.map(lambda x: average(x, share), states)
        sums = jax.tree.map(lambda x: jnp.tensordot(real.astype(x.dtype), x, 1), sums)
        return jnp.sum(share * losses), (state, sums)

    def meta_predict(params, model_state, batch):
        def one(episode, key):
            adapted = adapt_to(params, model_state, episode['support'], key)
            return predict(*adapted, episode['query'])

        return over_tasks(one, batch, None, task_axis)

    return Task(meta_init, meta_loss, meta_predict)


def over_tasks(function: Callable, batch: Batch, key, task_axis: str) -> Any:
    """`function(episode, key)` of each task, stacked; task i has `fold_in(key, i)`."""
    count = check_episodes(batch)
    episodes = {'support': batch['support'], 'query': batch['query']}
    keys = jax.vmap(jax.random.fold_in, (None, 0))(adapt.as_key(key), jnp.arange(count))
    if task_axis == 'vmap':
        return jax.vmap(function)(episodes, keys)
    results = [
        function(jax.tree.map(lambda x, i=i: x[i], episodes), keys[i]) for i in range(count)
    ]
    return jax.tree.map(lambda *x: jnp.stack(x), *results)


def check_episodes(batch: Batch) -> int:
    """The number of tasks in a batch.

    Raises:
        InputError: If the batch is not one of episodes.
    """
    missing = [part for part in ('support', 'query') if part not in batch]
    if missing:
        raise InputError(f"batch: no '{missing[0]}' among {sorted(batch)}; a meta-learner takes "
                         'episodes, set config.data.episodes')
    count = None
    names, leaves, _ = paths.flatten({part: batch[part] for part in ('support', 'query')})
    for name, leaf in zip(names, leaves, strict=True):
        count = leaf.shape[0] if count is None and leaf.ndim else count
        if leaf.ndim < 2 or leaf.shape[0] != count:
            raise InputError(f"batch field '{name}': expected [tasks, examples, ...] with {count} "
                             f'tasks, got shape {leaf.shape}')
    return count


def average(x: jax.Array, share: jax.Array) -> jax.Array:
    """The mean over tasks `[t, ...]` by their shares; of a counter the greatest."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x.max(0)
    return jnp.tensordot(share.astype(x.dtype), x, 1)


def with_support_loss(sums: dict, value: jax.Array) -> dict:
    """Adds the loss on the support before adaptation, counted once a task."""
    return {**sums, 'support_loss': (jax.lax.stop_gradient(value), jnp.ones((), value.dtype))}

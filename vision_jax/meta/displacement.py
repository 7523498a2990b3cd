"""Meta-learners that move the parameters towards where each task's own updates end."""

import jax
import jax.numpy as jnp
import optax

from vision_jax.core import paths
from vision_jax.core.task import Params, Task
from vision_jax.meta import adapt as inner
from vision_jax.meta import episodes


def displacement_task(
    task: Task, loop: inner.InnerLoop, *, update_on_query: bool, task_axis: str
) -> Task:
    """A task over episodes whose gradient is theta - mean_t(where task t ends).

    Args:
        task: The problem that each episode poses.
        loop: The inner loop; its `order` must be 1.
        update_on_query: Whether the loop runs on the query too, after the support.
        task_axis: 'vmap' or 'unroll'.

    Returns:
        A task whose loss has as its value the query loss after the updates on the support, and as
        its gradient the displacement (`surrogate`).
    """

    def learn(params, model_state, episode, key, train):
        support_key, query_key = jax.random.split(key)
        begin, frozen = inner.split(params, loop.adapt)
        state = inner.start(loop, *jax.lax.stop_gradient((begin, model_state)))
        state, before = inner.run(task, loop, state, frozen, episode['support'], support_key)
        if train and update_on_query:
            state, (value, sums) = inner.run(
                task, loop, state, frozen, episode['query'], query_key
            )
            model_state = state.model_state
        else:
            value, (model_state, sums) = task.loss(
                jax.lax.stop_gradient(paths.join(state.adapted, frozen)), state.model_state,
                episode['query'], query_key, train,
            )
        sums = episodes.with_support_loss(sums, before[0])
        return surrogate(value, begin, state.adapted), (model_state, sums)

    def adapt_to(params, model_state, support, key):
        return inner.adapt(task, params, model_state, support, key, **loop._asdict())

    return episodes.episodic(task.init, learn, adapt_to, task.predict, task_axis=task_axis)


def surrogate(value: jax.Array, before: Params, after: Params) -> jax.Array:
    """A scalar that equals `value` and whose gradient at `before` is `before - after`.

    stop(value) + <d, theta> - stop(<d, theta>), with d = stop(before - after). So a rule that
    averages displacements is an ordinary loss: outer optimizers, accumulation and averaging over
    devices work as for any other, and SGD of rate e gives theta <- theta + e mean(after - before).
    """
    moved = jax.lax.stop_gradient(jax.tree.map(jnp.subtract, before, after))
    product = optax.tree.vdot(moved, before)
    return jax.lax.stop_gradient(value) + product - jax.lax.stop_gradient(product)

"""MAML: parameters from which a few gradient steps on a task's support predict its query well."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import traverse_util

from vision_jax.core import paths
from vision_jax.core.errors import InputError
from vision_jax.core.task import Task
from vision_jax.meta import adapt as inner
from vision_jax.meta import episodes


def maml(
    task: Task,
    *,
    inner_lr: inner.Rates,
    inner_steps: int,
    order: int = 2,
    inner_optimizer: str = 'sgd',
    task_axis: str = 'vmap',
    remat: bool = False,
    adapt: str | Sequence[str] = '.*',
    learn_inner_lr: bool = False,
    scan: bool | None = None,
) -> Task:
    """Model-agnostic meta-learning of a task.

    L(theta) = mean_t L_query,t(theta_t'),  theta_t' = inner loop from theta on the support of t.

    Args:
        task: The problem that each episode poses. Its batch statistics, if any, must not be shared
            over devices, and all it computes must be twice differentiable for `order=2`.
        inner_lr: Inner learning rate, or (pattern, rate) pairs of which the first match counts.
        inner_steps: Inner updates, at least 1.
        order: 2 for MAML, 1 for first-order MAML.
        inner_optimizer: 'sgd' or 'adam'.
        task_axis: 'vmap' or 'unroll', how the tasks of a batch are computed.
        remat: Recompute inner steps in the backward pass: less memory, more time.
        adapt: Pattern(s) of parameter paths that the inner loop updates (`head/.*`).
        learn_inner_lr: Meta-SGD: every adapted parameter has a learned rate of its own.
            Parameters become `{'model': ..., 'inner_lr': ...}`.
        scan: Whether inner steps run in `lax.scan` (`adapt.InnerLoop`).

    Returns:
        A task over batches of episodes (`meta/__init__.py`). Its sums are the inner task's on the
        query after adaptation, and `support_loss`, before it, counted by tasks. `predict` adapts
        to the support and predicts the query, leaves `[t, q, ...]`.

    Raises:
        InputError: On an option outside its range; when used, on a pattern that matches nothing
            and on a batch that holds no episodes.

    Source: Finn, Abbeel, Levine, ICML 2017, algorithm 2 and section 5.2 (first order); learned
        rates: Li, Zhou, Chen, Li: Meta-SGD, 2017, eq. 2.

    Notes:
        Inner steps call the task's loss with `train=True`, also in evaluation and `predict`:
        adapting is training. Dropout is then drawn from a fixed key.
    """
    loop = inner.checked(
        inner.InnerLoop(inner_lr, inner_steps, inner_optimizer, order, adapt, remat, scan)
    )

    def init(key, support):
        params, model_state = task.init(key, support)
        if learn_inner_lr:
            params = {'model': params, 'inner_lr': initial_rates(loop, params)}
        return params, model_state

    def adapt_to(params, model_state, support, key):
        """((adapted params, model state), (support loss, sums) before)."""
        chosen = loop
        if learn_inner_lr:
            check_learned(params)
            chosen, params = loop._replace(inner_lr=params['inner_lr']), params['model']
        adapted, frozen = inner.split(params, loop.adapt)
        state = inner.start(chosen, adapted, model_state)
        state, before = inner.run(task, chosen, state, frozen, support, key)
        return (paths.join(state.adapted, frozen), state.model_state), before

    def learn(params, model_state, episode, key, train):
        support_key, query_key = jax.random.split(key)
        adapted, before = adapt_to(params, model_state, episode['support'], support_key)
        value, (model_state, sums) = task.loss(*adapted, episode['query'], query_key, train)
        return value, (model_state, episodes.with_support_loss(sums, before[0]))

    def adapt_only(params, model_state, support, key):
        return adapt_to(params, model_state, support, key)[0]

    return episodes.episodic(init, learn, adapt_only, task.predict, task_axis=task_axis)


def initial_rates(loop: inner.InnerLoop, params):
    """A rate for every number of every adapted leaf, as nested dicts without the other leaves."""
    adapted, _ = inner.split(params, loop.adapt)
    full = jax.tree.map(jnp.full_like, adapted, inner.rates(loop, adapted))
    names, leaves, _ = paths.flatten(full)
    return traverse_util.unflatten_dict(
        {tuple(name.split('/')): leaf for name, leaf in zip(names, leaves, strict=True)}
    )


def check_learned(params) -> None:
    """Raises `InputError` unless the parameters hold a model and its learned rates."""
    if set(params) != {'model', 'inner_lr'}:
        raise InputError("params: learn_inner_lr expects {'model', 'inner_lr'}, got "
                         f'{sorted(params)}; put loaded weights under model')

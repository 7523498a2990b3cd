"""Reptile: move the parameters towards where a few steps on each task lead."""

from collections.abc import Sequence

from vision_jax.core.task import Task
from vision_jax.meta import adapt as inner
from vision_jax.meta.displacement import displacement_task


def reptile(
    task: Task,
    *,
    inner_lr: inner.Rates,
    inner_steps: int,
    inner_optimizer: str = 'sgd',
    task_axis: str = 'vmap',
    adapt: str | Sequence[str] = '.*',
    scan: bool | None = None,
) -> Task:
    """Reptile as a task whose gradient is theta - mean_t theta_t'.

    Args:
        task: The problem that each episode poses.
        inner_lr: Inner learning rate, or (pattern, rate) pairs of which the first match counts.
        inner_steps: Inner updates on the support; more than one, or this is joint training.
        inner_optimizer: 'sgd' or 'adam'.
        task_axis: 'vmap' or 'unroll'.
        adapt: Pattern(s) of parameter paths that are trained.
        scan: Whether inner steps run in `lax.scan` (`adapt.InnerLoop`).

    Returns:
        A task over batches of episodes. The value of its loss is the query loss after adaptation,
        its gradient the displacement (`displacement.surrogate`): with SGD of rate e outside
        this is the published rule, theta <- theta + e * mean_t(theta_t' - theta).

    Raises:
        InputError: As `maml`.

    Source: Nichol, Achiam, Schulman: On first-order meta-learning algorithms, 2018, algorithm 2.

    Notes:
        The query is only reported on; the rule needs no split of a task's examples.
    """
    loop = inner.checked(
        inner.InnerLoop(inner_lr, inner_steps, inner_optimizer, 1, adapt, scan=scan)
    )
    return displacement_task(task, loop, update_on_query=False, task_axis=task_axis)

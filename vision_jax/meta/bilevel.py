"""MetaIQA's rule: update on the support, then on the query; average where the tasks ended."""

from collections.abc import Sequence

from vision_jax.core.task import Task
from vision_jax.meta import adapt as inner
from vision_jax.meta.displacement import displacement_task

# The released code's rates; the head is `fc` there.
METAIQA_RATES = (('head/.*', 1e-2), ('.*', 1e-4))


def bilevel(
    task: Task,
    *,
    inner_lr: inner.Rates = METAIQA_RATES,
    inner_steps: int = 1,
    inner_optimizer: str = 'adam',
    task_axis: str = 'vmap',
    adapt: str | Sequence[str] = '.*',
    scan: bool | None = None,
) -> Task:
    """The bi-level rule of MetaIQA as a task whose gradient is theta - mean_t theta_t''.

    theta_t' = theta - rate * u(grad L_support,t(theta));
    theta_t'' = theta_t' - rate * u(grad L_query,t(theta_t')), of first order throughout.

    Args:
        task: The problem that each episode poses.
        inner_lr: A rate, or (pattern, rate) pairs of which the first match counts.
        inner_steps: Updates on the support, and again on the query.
        inner_optimizer: 'adam' or 'sgd'; its state goes on from the support to the query.
        task_axis: 'vmap' or 'unroll'.
        adapt: Pattern(s) of parameter paths that are trained.
        scan: Whether inner steps run in `lax.scan` (`adapt.InnerLoop`).

    Returns:
        A task over batches of episodes. The value of its loss is the query loss between the two
        updates, its gradient the displacement (`displacement.surrogate`): with SGD of rate 1
        outside this is the published rule, theta <- theta + mean_t(theta_t'' - theta).
        In evaluation and `predict` tasks are adapted to on the support only.

    Raises:
        InputError: As `maml`.

    Source: Zhu, Li, Wu, Dong, Shi: MetaIQA, CVPR 2020, section 3.2; rates and the order of updates
        as in the released code.

    Notes:
        The released code keeps one Adam over all tasks, so that a task starts with the moments of
        the one before; tasks are independent here, and each starts a new Adam. Its rates decay by
        0.9^(epoch // 2), once more each epoch; here the outer schedule decays.
    """
    loop = inner.checked(
        inner.InnerLoop(inner_lr, inner_steps, inner_optimizer, 1, adapt, scan=scan)
    )
    return displacement_task(task, loop, update_on_query=True, task_axis=task_axis)

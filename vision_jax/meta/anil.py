"""ANIL: MAML whose inner loop adapts the head only."""

from collections.abc import Sequence

from vision_jax.core.task import Task
from vision_jax.meta.maml import maml


def anil(task: Task, *, head: str | Sequence[str], **options) -> Task:
    """Almost no inner loop: the body is meta-learned, the head is adapted to each task.

    Args:
        task: The problem that each episode poses.
        head: Pattern(s) of the head's parameter paths (`head/.*`).
        **options: As for `maml`, without `adapt`.

    Returns:
        A task over batches of episodes.

    Raises:
        InputError: As `maml`.

    Source: Raghu, Raghu, Bengio, Vinyals: Rapid learning or feature reuse?, ICLR 2020, section 4.
    """
    return maml(task, adapt=head, **options)

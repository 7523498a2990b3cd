"""The trainable problems, by name; a config's `task` selects one, its `meta` wraps it."""

import importlib

from vision_jax import catalog
from vision_jax.core.errors import InputError, nearest
from vision_jax.core.precision import with_compute_dtype
from vision_jax.core.task import Task

TASKS = {
    'quality': 'vision_jax.tasks.quality',
}


def make(config) -> Task:
    """The task that a config selects, wrapped by its meta-learner if it names one.

    Args:
        config: An experiment's config: `task` names a module of this package, whose
            `make(config)` is called; `meta.name`, where not empty, names a meta-learner of the
            catalogue, and the other keys of `meta` are its options. The network computes in
            `train.compute_dtype`; what a meta-learner updates in its inner loop stays in float32.

    Raises:
        InputError: On an unknown task or meta-learner, with the nearest name.
    """
    if config.task not in TASKS:
        raise InputError(f"no task '{config.task}'{nearest(config.task, TASKS)}")
    task = importlib.import_module(TASKS[config.task]).make(config)
    task = with_compute_dtype(task, config.train.compute_dtype)
    options = dict(config.get('meta', {}))
    name = options.pop('name', '')
    if not name:
        return task
    learners = catalog.names(kind='meta_learner')
    if name not in learners:
        raise InputError(f"no meta-learner '{name}'{nearest(name, learners)}")
    return catalog.get(name)(task, **options)

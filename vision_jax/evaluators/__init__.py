"""Evaluators by name: each module has `evaluate(outputs, **options) -> dict[str, float]`."""

import importlib
from collections.abc import Callable

from vision_jax.core.errors import InputError, nearest

EVALUATORS = {
    'correlation': 'vision_jax.evaluators.correlation',
}


def get(name: str) -> Callable[..., dict[str, float]]:
    """The `evaluate` function of an evaluator, imported now.

    Args:
        name: A key of `EVALUATORS`.

    Raises:
        InputError: On an unknown name; the message gives the nearest one.
    """
    if name not in EVALUATORS:
        raise InputError(f"no evaluator '{name}'{nearest(name, EVALUATORS)}")
    return importlib.import_module(EVALUATORS[name]).evaluate

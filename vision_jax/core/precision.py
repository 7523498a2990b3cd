"""Mixed precision as a wrapper of tasks: compute in bfloat16, keep everything in float32."""

from typing import Any

import jax
import jax.numpy as jnp

from vision_jax.core.errors import InputError, nearest
from vision_jax.core.task import Task

DTYPES = ('float32', 'bfloat16')
# What networks take in. Labels, masks, boxes and the like keep all their digits.
INPUT_FIELDS = ('image', 'features')


def with_compute_dtype(
    task: Task, compute_dtype: str, *, fields: tuple[str, ...] = INPUT_FIELDS
) -> Task:
    """The same task, whose network computes in another float type.

    Parameters and the inputs named in `fields` are cast at the start of `loss` and `predict`.
    Gradients come back through the cast in the parameters' own type, the new model state is cast
    back to its own, outputs and sums to float32.

    Args:
        task: The problem. Wrap it before `meta.maml`, whose inner steps are then taken in float32.
        compute_dtype: One of `DTYPES`; 'float32' returns `task` as it is.
        fields: Names of the batch's fields to cast, at any depth of it.

    Raises:
        InputError: On an unknown type; when used, on a batch that has none of `fields`.
    """
    if compute_dtype not in DTYPES:
        raise InputError(f"no compute dtype '{compute_dtype}'{nearest(compute_dtype, DTYPES)}")
    if compute_dtype == 'float32':
        return task
    dtype = jnp.dtype(compute_dtype)

    def loss(params, model_state, batch, key, train):
        value, (new_state, sums) = task.loss(
            _cast(params, dtype), model_state, _cast_fields(batch, dtype, fields), key, train
        )
        new_state = jax.tree.map(lambda new, old: new.astype(old.dtype), new_state, model_state)
        return value.astype(jnp.float32), (new_state, _cast(sums, jnp.float32))

    def predict(params, model_state, batch):
        batch = _cast_fields(batch, dtype, fields)
        return _cast(task.predict(_cast(params, dtype), model_state, batch), jnp.float32)

    return Task(task.init, loss, predict)


def _cast(tree: Any, dtype: jnp.dtype) -> Any:
    """Casts the floating leaves of a tree."""
    def cast(x):
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(cast, tree)


def _cast_fields(batch: dict[str, Any], dtype: jnp.dtype, fields: tuple[str, ...]) -> Any:
    """Casts the leaves of a batch that lie under one of the named fields."""
    found = False

    def cast(path, x):
        nonlocal found
        if not any(getattr(part, 'key', None) in fields for part in path):
            return x
        found = True
        return _cast(x, dtype)

    batch = jax.tree_util.tree_map_with_path(cast, batch)
    if not found:
        raise InputError(
            f'compute dtype {dtype.name}: the batch has none of the fields {", ".join(fields)}'
        )
    return batch

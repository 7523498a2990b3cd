"""Random keys: one key a run, from which each step, device and micro-batch takes its own."""

import jax
import jax.numpy as jnp


def run_key(seed: int) -> jax.Array:
    """The key of a run as plain numbers (`uint32`), so that it can be saved and copied.

    Args:
        seed: Any integer of 32 bits.

    Returns:
        Key data that `as_key` makes a key of.
    """
    return jax.random.key_data(jax.random.key(seed))


def as_key(key: jax.Array) -> jax.Array:
    """A typed key from key data; a typed key is returned as it is."""
    return key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


def step_key(key: jax.Array, step: jax.Array, *, axis_name: str | None = None) -> jax.Array:
    """The key of one step, and of one device where there are several.

    It depends on the run's key and the step's number only, so a resumed run draws what the
    uninterrupted one would have drawn.

    Args:
        key: The run's key, typed or as key data.
        step: Number of steps done, an integer scalar.
        axis_name: Axis of devices inside `core/parallel.py`'s mapped step; each device then draws
            its own numbers.

    Returns:
        A typed key.
    """
    key = jax.random.fold_in(as_key(key), step)
    if axis_name is not None:
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
    return key

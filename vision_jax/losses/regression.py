"""Element-wise losses of a predicted number against its target.

Predictions and targets must have one shape; nothing broadcasts, since a silent `[b]` against
`[b, 1]` trains on all b * b pairs.
"""

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_same_shape
from vision_jax.core.errors import InputError


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error.

    l(p, y) = (p - y)^2

    Args:
        predictions: Any shape, `[...]`.
        targets: The same shape.

    Returns:
        Losses `[...]`.

    Raises:
        InputError: If the shapes differ.

    Notes:
        Without the factor 1/2 that some libraries put in front (`optax.l2_loss`).
    """
    check_same_shape('predictions', predictions, 'targets', targets)
    return jnp.square(predictions - targets)


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Absolute error.

    l(p, y) = |p - y|

    Args:
        predictions: Any shape, `[...]`.
        targets: The same shape.

    Returns:
        Losses `[...]`; the gradient where p = y is 0.

    Raises:
        InputError: If the shapes differ.
    """
    check_same_shape('predictions', predictions, 'targets', targets)
    return jnp.abs(predictions - targets)


def huber(predictions: jax.Array, targets: jax.Array, *, delta: float = 1.0) -> jax.Array:
    """Huber's loss: quadratic near 0, linear beyond `delta`.

    l(e) = e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond, with e = p - y

    Args:
        predictions: Any shape, `[...]`.
        targets: The same shape.
        delta: Where the line begins, > 0, in the unit of the targets.

    Returns:
        Losses `[...]`.

    Raises:
        InputError: If the shapes differ, or `delta` is not positive.

    Source: Huber, Robust estimation of a location parameter, Ann. Math. Statist. 35(1), 1964.
    """
    check_same_shape('predictions', predictions, 'targets', targets)
    if delta <= 0:
        raise InputError(f'delta: expected a positive number, got {delta:g}')
    error = predictions - targets
    near = jnp.clip(error, -delta, delta)
    return 0.5 * jnp.square(near) + delta * jnp.abs(error - near)

"""Checks on entry: each names the argument, says what came and what was expected.

Rank, shape and dtype are known while tracing and always checked. Values (NaN, range) can be read
only outside `jit`, so they are checked for concrete arrays and left alone for tracers.
"""

from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError, nearest


def is_concrete(x) -> bool:
    """Whether the values of `x` can be read (it is not a tracer)."""
    return not isinstance(x, jax.core.Tracer)


def check_image(name: str, image, *, channels: int | None = None, min_side: int = 1,
                data_range: float = 1.0) -> None:
    """Checks a float image `*b h w c` with values in [0, data_range].

    Args:
        name: The argument's name, for the message.
        image: The array to check.
        channels: How many channels it must have; `None` admits 1 and 3.
        min_side: The least height and width.
        data_range: The value of white.

    Raises:
        InputError: On a wrong dtype, rank, channel count or size, and for a concrete array also on
            NaN, infinity and values outside [0, data_range].
    """
    if not jnp.issubdtype(jnp.asarray(image).dtype, jnp.floating):
        raise InputError(f'{name}: expected floats in [0, {data_range:g}], got '
                         f'{jnp.asarray(image).dtype}; divide an 8-bit image by 255')
    if image.ndim < 3:
        raise InputError(
            f'{name}: expected [..., height, width, channels], got shape {image.shape}')
    allowed = (1, 3) if channels is None else (channels,)
    if image.shape[-1] not in allowed:
        raise InputError(f'{name}: expected {" or ".join(map(str, allowed))} channels in the last '
                         f'axis, got shape {image.shape}')
    if min(image.shape[-3:-1]) < min_side:
        raise InputError(f'{name}: height and width must be at least {min_side}, '
                         f'got shape {image.shape}')
    check_finite(name, image)
    check_range(name, image, low=0.0, high=data_range, slack=1e-4 * data_range)


def check_pair(reference, distorted, *, data_range: float = 1.0, channels: int | None = None,
               min_side: int = 1) -> tuple[jax.Array, jax.Array]:
    """Checks the two images of a full-reference metric and brings them to [0, 1].

    Args:
        reference: `*b h w c`, floats in [0, data_range].
        distorted: The same shape.
        data_range: The value of white, a number over 0.
        channels: As in `check_image`.
        min_side: As in `check_image`.

    Returns:
        Both as JAX arrays of at least 32 bits in [0, 1].

    Raises:
        InputError: As `check_image` and `check_same_shape` do.
    """
    if not data_range > 0:
        raise InputError(f'data_range: expected a number over 0, got {data_range}')
    check_same_shape('reference', reference, 'distorted', distorted)
    images = []
    for name, image in (('reference', reference), ('distorted', distorted)):
        check_image(name, image, channels=channels, min_side=min_side, data_range=data_range)
        image = jnp.asarray(image)
        image = image.astype(jnp.promote_types(image.dtype, jnp.float32))
        images.append(image if data_range == 1 else image / data_range)
    return images[0], images[1]


def check_same_shape(name_a: str, a, name_b: str, b) -> None:
    """Raises `InputError` unless two arrays have one shape: nothing broadcasts silently."""
    if jnp.shape(a) != jnp.shape(b):
        raise InputError(f'{name_a} and {name_b} must have the same shape, '
                         f'got {jnp.shape(a)} and {jnp.shape(b)}')


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises `InputError`, with the nearest name, unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(f"{name}: unknown name '{value}'{nearest(value, choices)}")


def check_rank(name: str, x, rank: int) -> None:
    """Raises `InputError` unless `x` has `rank` axes."""
    if jnp.ndim(x) != rank:
        raise InputError(f'{name}: expected {rank} axes, got shape {jnp.shape(x)}')


def check_finite(name: str, x) -> None:
    """Raises `InputError` on NaN or infinity in a concrete array."""
    if is_concrete(x) and not np.isfinite(np.asarray(x)).all():
        raise InputError(f'{name}: holds NaN or infinity')


def check_range(name: str, x, *, low: float, high: float, slack: float = 1e-4) -> None:
    """Raises `InputError` where a concrete array leaves [low - slack, high + slack]."""
    if not is_concrete(x) or np.size(x) == 0:
        return
    least, most = float(np.min(x)), float(np.max(x))
    if least < low - slack or most > high + slack:
        raise InputError(f'{name}: expected values in [{low:g}, {high:g}], '
                         f'got [{least:.4g}, {most:.4g}]')

"""Mean and central moments of overlapping square blocks, without losing digits in float32.

A block is merged from strips of one stride, each with the moments about its own mean. Sums of
powers of the pixels, from which a mean is subtracted at the end, would keep nothing of the fourth
moment where a block varies by a hundredth of its mean.
"""

from typing import NamedTuple

import jax.numpy as jnp

from vision_jax.core.errors import InputError


class Moments(NamedTuple):
    """Of each block, `*b rows columns`.

    Attributes:
        mean: The mean.
        sums: The sums of the second and higher powers of the deviations from it, in order.
    """

    mean: jnp.ndarray
    sums: tuple[jnp.ndarray, ...]


def block_moments(plane, *, size: int, stride: int, order: int) -> Moments:
    """Moments of the `size` by `size` blocks whose corners are at multiples of `stride`.

    Args:
        plane: `*b h w`, at least one block.
        size: Side of a block, a multiple of `stride`.
        stride: From block to block, in pixels.
        order: The highest moment, 2 to 4.

    Returns:
        The moments, `*b (h - size) // stride + 1 (w - size) // stride + 1`.

    Raises:
        InputError: On a plane under a block, or a size that is no multiple of the stride.
    """
    height, width = plane.shape[-2:]
    if min(height, width) < size or size % stride or not 2 <= order <= 4:
        raise InputError(f'plane: expected at least {size} by {size}, a multiple of {stride}, and '
                         f'an order of 2 to 4, got shape {plane.shape} and {order}')
    rows, columns = ((side - size) // stride + 1 for side in (height, width))
    strips = rows + size // stride - 1
    split = plane[..., :strips * stride, :].reshape(*plane.shape[:-2], strips, stride, width)
    nought = (jnp.zeros_like(split[..., 0, :]),) * (order - 1)
    strip = _merge([Moments(split[..., i, :], nought) for i in range(stride)], count=1)
    tall = _merge([_take(strip, i, rows, 1, axis=-2) for i in range(size // stride)], count=stride)
    return _merge([_take(tall, i, columns, stride, axis=-1) for i in range(size)], count=size)


def _take(moments: Moments, start: int, count: int, step: int, *, axis: int) -> Moments:
    index = [...] + [slice(None)] * -axis
    index[1] = slice(start, start + (count - 1) * step + 1, step)
    return Moments(moments.mean[tuple(index)], tuple(x[tuple(index)] for x in moments.sums))


def _merge(parts: list[Moments], *, count: int) -> Moments:
    """The moments of the union of parts of `count` pixels each."""
    mean = sum(part.mean for part in parts) / len(parts)
    totals = [0.0] * len(parts[0].sums)
    for part in parts:
        shift = part.mean - mean
        square = shift * shift
        second, *higher = part.sums
        totals[0] = totals[0] + second + count * square
        if higher:
            third = higher[0]
            totals[1] = totals[1] + third + shift * (3 * second + count * square)
        if len(higher) > 1:
            totals[2] = (totals[2] + higher[1] + 4 * shift * third
                         + square * (6 * second + count * square))
    return Moments(mean, tuple(totals))

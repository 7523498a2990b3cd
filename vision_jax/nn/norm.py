"""Normalisation by name, and pooling, all twice differentiable and quick on CPU."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError, nearest
from vision_jax.nn import conv

NAMES = ('batch', 'group', 'none')
ACROSS = (0, 1, 2)  # axes of [b, h, w, c] that batch normalisation averages over


class BatchNorm(nn.Module):
    """Batch normalisation with torch's conventions.

    Formula: `y = (x - mean) / sqrt(var + epsilon) * scale + bias`; in training `mean` and the
    biased `var` are those of the batch, and each running statistic moves by
    `running <- (1 - momentum) running + momentum batch`, `var` there being the unbiased one.

    Parameters: `scale` (1), `bias` (0); `batch_stats`: `mean` (0), `var` (1), kept in float32.

    Attributes:
        momentum: Share of the new batch in the running statistics (torch's 0.1 is Flax's 0.9).
        epsilon: Added to the variance.

    Source: Ioffe, Szegedy: Batch normalization, ICML 2015; `torch.nn.BatchNorm2d`.
    Notes: Statistics are those of one device: averaged across devices they would mix MAML's tasks.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        channels = x.shape[-1:]
        mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
        var = self.variable('batch_stats', 'var', jnp.ones, channels)
        scale = self.param('scale', nn.initializers.ones_init(), channels).astype(jnp.float32)
        bias = self.param('bias', nn.initializers.zeros_init(), channels).astype(jnp.float32)
        if not train:
            return _affine(x, mean.value, var.value + self.epsilon, scale, bias)
        wide = x.astype(jnp.float32)
        centre = wide.mean(ACROSS)
        spread = jnp.square(wide - centre[None, None, None]).mean(ACROSS)
        if not self.is_initializing():
            count = x.size // x.shape[-1]
            unbiased = spread * (count / max(count - 1, 1))
            mean.value = (1 - self.momentum) * mean.value + self.momentum * centre
            var.value = (1 - self.momentum) * var.value + self.momentum * unbiased
        return _affine(x, centre, spread + self.epsilon, scale, bias)


def _affine(x, mean, variance, scale, bias) -> jax.Array:
    """Normalises as one multiplication and one addition a pixel; returns the dtype of `x`."""
    slope = scale * jax.lax.rsqrt(variance)
    offset = bias - mean * slope
    y = x.astype(jnp.float32) * slope[None, None, None] + offset[None, None, None]
    return y.astype(x.dtype)


class GroupNorm(nn.Module):
    """Group normalisation: statistics of each image's channel groups, so nothing to keep.

    Attributes:
        groups: At most this many groups; the largest divisor of the channels up to it is taken.
        epsilon: Added to the variance.

    Source: Wu, He: Group normalization, ECCV 2018 (32 groups).
    Notes: The divisor rule serves narrow test variants; published widths all divide by 32 or 8.
    """

    groups: int = 32
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        scale = self.param('scale', nn.initializers.ones_init(), (channels,)).astype(jnp.float32)
        bias = self.param('bias', nn.initializers.zeros_init(), (channels,)).astype(jnp.float32)
        groups = max(g for g in range(1, min(self.groups, channels) + 1) if channels % g == 0)
        wide = x.astype(jnp.float32)
        centred = wide - _by_group(wide.mean((1, 2)), groups)[:, None, None]
        variance = _by_group(jnp.square(centred).mean((1, 2)), groups)  # [b, c]
        slope = scale[None] * jax.lax.rsqrt(variance + self.epsilon)
        return (centred * slope[:, None, None] + bias[None, None, None]).astype(x.dtype)


def _by_group(x: jax.Array, groups: int) -> jax.Array:
    """Averages `[b, c]` within each channel group; splitting pixels instead is slow on CPU."""
    means = x.reshape(len(x), groups, -1).mean(-1)
    return jnp.repeat(means, x.shape[-1] // groups, axis=-1)


def normalise(x: jax.Array, name: str, *, train: bool, layer: str, **options: Any) -> jax.Array:
    """Applies the normalisation layer of that name, inside a compact module.

    Args:
        x: `[b, h, w, c]`.
        name: 'batch', 'group', or 'none' to leave `x` as it is.
        train: Whether batch normalisation uses and records the batch's statistics.
        layer: Name of the layer in the parameter tree.
        **options: `momentum` and `epsilon`; group normalisation takes `epsilon` alone.

    Raises:
        InputError: On another name.
    """
    if name == 'none':
        return x
    if name == 'batch':
        return BatchNorm(**options, name=layer)(x, train=train)
    if name == 'group':
        options.pop('momentum', None)
        return GroupNorm(**options, name=layer)(x)
    raise InputError(f"no normalisation '{name}'{nearest(name, NAMES)}")


def max_pool(
    x: jax.Array, window: int, *, strides: int | None = None, padding: conv.Padding = 0
) -> jax.Array:
    """Maximum over square windows, padded with minus infinity.

    Args:
        x: `[b, h, w, c]`.
        window: Side of the window.
        strides: Step; the window's side by default.
        padding: As in `conv.conv2d`.

    Returns:
        `[b, p, q, c]`.

    Notes: First along columns, then along rows, each a running maximum of strided slices, which
        has second derivatives (`lax.reduce_window` has none in reverse over reverse on every
        backend). Where several pixels tie, the gradient is shared between them; torch gives it to
        the first.
    """
    step = window if strides is None else strides
    pads = conv.explicit_padding(x.shape[1:3], (window, window), (step, step), padding)
    lowest = jnp.array(-jnp.inf, x.dtype)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=lowest)
    for axis in (1, 2):
        length = (x.shape[axis] - window) // step * step + 1
        parts = [
            jax.lax.slice_in_dim(x, start, start + length, step, axis) for start in range(window)
        ]
        x = parts[0]
        for part in parts[1:]:
            x = jnp.maximum(x, part)
    return x


def l2_pool(x: jax.Array) -> jax.Array:
    """The root of a weighted mean of squares, halving height and width.

    Formula: `y = sqrt(g * x^2 + 1e-12)` at every second pixel, g the 3x3 Hann window
    `[1 2 1] / 4` down and across, over zeros outside.

    Args:
        x: `[b, h, w, c]`.

    Returns:
        `[b, ceil(h/2), ceil(w/2), c]`.

    Source: Henaff, Simoncelli: Geodesics of learned representations, ICLR 2016; window and constant
        as in DISTS (Ding et al., TPAMI 2022, section 3.2 and the authors' code).
    """
    y = jnp.square(x)
    for axis in (1, 2):
        widths = [(0, 0)] * 4
        widths[axis] = (1, 1)
        y = jnp.pad(y, widths)
        reach = (y.shape[axis] - 3) // 2 * 2 + 1
        before, here, after = (
            jax.lax.slice_in_dim(y, i, i + reach, 2, axis) for i in range(3))
        y = 0.25 * (before + after) + 0.5 * here
    return jnp.sqrt(y + 1e-12)


def adaptive_mean_pool(x: jax.Array, side: int) -> jax.Array:
    """Means over `side` by `side` windows that cover an image of any size.

    Window i spans the pixels `floor(i n / side)` to `ceil((i + 1) n / side)`, of n; windows overlap
    where `side` does not divide n (torch's AdaptiveAvgPool2d).

    Args:
        x: `[b, h, w, c]`.
        side: Height and width of the result.

    Returns:
        `[b, side, side, c]`.
    """
    down, across = (jnp.asarray(_windows(n, side), x.dtype) for n in x.shape[1:3])
    return jnp.einsum('ph,bhwc,qw->bpqc', down, x, across)


def _windows(length: int, count: int) -> np.ndarray:
    """The matrix `count length` of means over the windows of `adaptive_mean_pool`."""
    index, pixel = np.arange(count)[:, None], np.arange(length)[None]
    inside = (pixel >= index * length // count) & (pixel < -(-(index + 1) * length // count))
    return inside / inside.sum(1, keepdims=True)

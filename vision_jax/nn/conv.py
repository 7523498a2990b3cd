"""Convolution with a choice of implementation: XLA's own, or shifted slices and one matmul.

Both have one parameter tree and one result. XLA's convolution loses its fast path on CPU under
`vmap` over kernels (MAML's inner loop); the matmul form keeps it.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from vision_jax.core.errors import InputError, nearest

IMPLEMENTATIONS = ('lax', 'matmul')
Pair = int | tuple[int, int]
Padding = str | int | Sequence[tuple[int, int]]

# He et al. 2015 with fan-out, as torchvision initialises its ResNets.
KERNEL_INIT = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Pair = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
    impl: str = 'lax',
) -> jax.Array:
    """Cross-correlation of images with a kernel.

    Formula: `y[b, p, q, o] = sum_{i, j, c} x[b, p s + i - top, q s + j - left, c] k[i, j, c, o]`.

    Args:
        x: Images `[b, h, w, c]`.
        kernel: `[kh, kw, c / groups, o]`.
        strides: Step down and across; one number stands for both.
        padding: 'SAME' (TensorFlow's: the odd pixel goes below and right), 'VALID', a number of
            pixels on every side (torch's), or `((top, bottom), (left, right))`.
        groups: Channel groups; `c` of them make it depthwise.
        impl: 'lax' (`lax.conv_general_dilated`) or 'matmul' (shifted slices side by side, then one
            matrix product; depthwise: a sum of shifted slices times a weight a channel).

    Returns:
        `[b, p, q, o]`.

    Raises:
        InputError: On an unknown implementation, or shapes that do not fit.

    Notes: Both forms are twice differentiable, forwards and backwards, and may be mapped over
        kernels.
    """
    strides = (strides, strides) if isinstance(strides, int) else tuple(strides)
    _check(x, kernel, groups, impl)
    pads = explicit_padding(x.shape[1:3], kernel.shape[:2], strides, padding)
    if impl == 'lax':
        return lax.conv_general_dilated(
            x, kernel, strides, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
            feature_group_count=groups,
        )
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    shifted = _shifted_slices(x, kernel.shape[:2], strides)
    if groups == 1:
        columns = shifted[0] if len(shifted) == 1 else jnp.concatenate(shifted, axis=-1)
        return columns @ kernel.reshape(-1, kernel.shape[-1])
    if groups == x.shape[-1] == kernel.shape[-1]:
        return _depthwise(shifted, kernel)
    return _grouped(shifted, kernel, groups)


def explicit_padding(
    size: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[tuple[int, int], ...]:
    """Padding in pixels, `((top, bottom), (left, right))`, for any form that `conv2d` takes.

    Args:
        size: Height and width of the input, in pixels.
        window: Height and width of the kernel.
        strides: Down and across.
        padding: As `conv2d` takes it.

    Raises:
        InputError: On a name other than 'SAME' and 'VALID'.
    """
    if isinstance(padding, str):
        if padding not in ('SAME', 'VALID'):
            raise InputError(f"no padding '{padding}'{nearest(padding, ('SAME', 'VALID'))}")
        return tuple(lax.padtype_to_pads(size, window, strides, padding))
    if isinstance(padding, int):
        return ((padding, padding), (padding, padding))
    return tuple((low, high) for low, high in padding)


def _shifted_slices(x, window, strides) -> list[jax.Array]:
    """For each offset in the window, row by row, the pixels it meets: each `[b, p, q, c]`."""
    b, *size, c = x.shape
    height, width = ((n - k) // s + 1 for n, k, s in zip(size, window, strides, strict=True))
    down, across = strides
    return [
        lax.slice(
            x, (0, i, j, 0),
            (b, i + (height - 1) * down + 1, j + (width - 1) * across + 1, c),
            (1, down, across, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    ]


def _depthwise(shifted: list[jax.Array], kernel: jax.Array) -> jax.Array:
    weights = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])  # [kh kw, 1, 1, 1, c]
    return sum(part * weight for part, weight in zip(shifted, weights, strict=True))


def _grouped(shifted: list[jax.Array], kernel: jax.Array, groups: int) -> jax.Array:
    *window, inputs, outputs = kernel.shape
    parts = [part.reshape(*part.shape[:3], groups, inputs) for part in shifted]
    columns = jnp.concatenate(parts, axis=-1)  # [b, p, q, groups, kh kw inputs]
    kernel = kernel.reshape(math.prod(window) * inputs, groups, outputs // groups)
    y = jnp.einsum('bpqgi,igo->bpqgo', columns, kernel)
    return y.reshape(*y.shape[:3], outputs)


def _check(x: jax.Array, kernel: jax.Array, groups: int, impl: str) -> None:
    if impl not in IMPLEMENTATIONS:
        raise InputError(f"no convolution '{impl}'{nearest(impl, IMPLEMENTATIONS)}")
    if x.ndim != 4 or kernel.ndim != 4:
        raise InputError(f'conv2d: expected x [b, h, w, c] and kernel [kh, kw, c / groups, o], '
                         f'got {x.shape} and {kernel.shape}')
    if kernel.shape[2] * groups != x.shape[3] or kernel.shape[3] % groups:
        raise InputError(f'conv2d: {groups} groups, x {x.shape} and kernel {kernel.shape} '
                         'do not fit: expected c = kernel.shape[2] * groups, and o % groups = 0')


class Conv(nn.Module):
    """A convolution layer with parameters `kernel` (HWIO) and, if asked for, `bias`.

    Attributes:
        features: Output channels.
        window: Kernel size; one number stands for both sides.
        strides: As in `conv2d`.
        padding: As in `conv2d`.
        groups: As in `conv2d`.
        bias: Whether an offset is added to every channel.
        impl: As in `conv2d`.
        kernel_init: Initialiser of the kernel.
    """

    features: int
    window: Pair = 3
    strides: Pair = 1
    padding: Padding = 'SAME'
    groups: int = 1
    bias: bool = False
    impl: str = 'lax'
    kernel_init: nn.initializers.Initializer = KERNEL_INIT

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        window = (self.window, self.window) if isinstance(self.window, int) else self.window
        shape = (*window, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', self.kernel_init, shape).astype(x.dtype)
        y = conv2d(
            x, kernel, strides=self.strides, padding=self.padding, groups=self.groups,
            impl=self.impl,
        )
        if not self.bias:
            return y
        bias = self.param('bias', nn.initializers.zeros_init(), (self.features,))
        return y + bias.astype(x.dtype)[None, None, None]

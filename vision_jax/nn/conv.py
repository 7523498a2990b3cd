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
FEW_CHANNELS = 4  # measured on CPU: strided slices of RGB cost more than folding the image
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
        impl: 'lax' (`lax.conv_general_dilated`) or 'matmul' (shifted slices side by side and one
            matrix product, see `_matmul`; depthwise: a sum of shifted slices times a weight a
            channel).

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
    if groups == 1:
        return _matmul(x, kernel, strides, pads)
    shifted = _shifted_slices(_pad(x, pads), kernel.shape[:2], strides)
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


def _matmul(x, kernel, strides, pads) -> jax.Array:
    """One matrix product over slices shifted across, or across and down.

    What costs time on CPU is not the product but the slices and what they are written to. Either
    all shifts lie side by side, `kh kw c` numbers an output pixel; or only those across do, and
    the product has `kh o` columns, one block for each row of the kernel, which are then shifted
    down and summed: `kw c + kh o` numbers for each pixel of the padded height.
    """
    if max(strides) > 1 and x.shape[-1] <= FEW_CHANNELS and kernel.shape[:2] != (1, 1):
        x, kernel, strides = *_fold(x, kernel, strides, pads), (1, 1)
    else:
        x = _pad(x, pads)
    (kh, kw, c, o), (down, across) = kernel.shape, strides
    padded = x.shape[1]
    height = (padded - kh) // down + 1
    x = _side_by_side(x, 2, kw, across)  # [b, padded, q, kw c]
    if down == 1 and (kw * c + kh * o) * padded < kh * kw * c * height:
        y = _product(x, kernel.transpose(1, 2, 0, 3).reshape(kw * c, kh * o))
        return sum(y[:, i:i + height, :, i * o:(i + 1) * o] for i in range(kh))
    x = _side_by_side(x, 1, kh, down)  # [b, p, q, kh kw c]
    return _product(x, kernel.reshape(-1, o))


def _product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """`x @ matrix` of all pixels as rows: mapped over tasks XLA keeps the layout of such."""
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:3], -1)


def _fold(x, kernel, strides, pads) -> tuple[jax.Array, jax.Array]:
    """Images and kernel whose convolution without strides is that of the given ones with strides.

    Blocks of pixels, one stride high and wide, become one pixel with all their channels. Slices
    with a step copy number by number, which is slow where a pixel has few channels.
    """
    kernel_pads, image_pads = [], []
    for n, k, s, (low, high) in zip(x.shape[1:3], kernel.shape[:2], strides, pads, strict=True):
        blocks = -(-k // s)
        count = (n + low + high - k) // s + blocks
        kernel_pads.append((0, blocks * s - k))
        image_pads.append((low, count * s - n - low))
    x, kernel = _pad(x, image_pads), jnp.pad(kernel, (*kernel_pads, (0, 0), (0, 0)))
    down, across = strides
    b, h, w, c = x.shape
    kh, kw, _, o = kernel.shape
    x = x.reshape(b, h // down, down, w // across, across, c).transpose(0, 1, 3, 2, 4, 5)
    kernel = kernel.reshape(kh // down, down, kw // across, across, c, o)
    return (x.reshape(b, h // down, w // across, -1),
            kernel.transpose(0, 2, 1, 3, 4, 5).reshape(kh // down, kw // across, -1, o))


def _pad(x: jax.Array, pads) -> jax.Array:
    """Zeros around images; a negative number of pixels crops."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _side_by_side(x: jax.Array, axis: int, window: int, stride: int) -> jax.Array:
    """Slices shifted along one axis, one after the other in the channels."""
    reach = (x.shape[axis] - window) // stride * stride + 1
    return jnp.concatenate(
        [lax.slice_in_dim(x, i, i + reach, stride, axis) for i in range(window)], axis=-1)


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

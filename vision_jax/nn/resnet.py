"""ResNet-18, 34 and 50, layer for layer as in torchvision, with narrow variants for tests."""

from typing import Any

import flax.linen as nn
import jax

from vision_jax.core.checks import check_rank
from vision_jax.core.errors import InputError, nearest
from vision_jax.nn.conv import Conv
from vision_jax.nn.norm import max_pool, normalise

VARIANTS = {
    # He et al., CVPR 2016, table 1: blocks in conv2_x to conv5_x, and their kind.
    '18': {'depths': (2, 2, 2, 2), 'block': 'basic'},
    '34': {'depths': (3, 4, 6, 3), 'block': 'basic'},
    # With the stride in the 3x3 convolution ("v1.5"), as torchvision's and NVIDIA's weights have.
    '50': {'depths': (3, 4, 6, 3), 'block': 'bottleneck'},
}
BLOCKS = {
    # (window, share of the stage's output width, whether the block's stride is here)
    'basic': ((3, 1, True), (3, 1, False)),
    'bottleneck': ((1, 1, False), (3, 1, True), (1, 4, False)),
}
# U(-1/sqrt(inputs), 1/sqrt(inputs)), torch's default for a linear layer.
DENSE_INIT = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')


class ResidualBlock(nn.Module):
    """Convolutions with normalisation and ReLU, added to a shortcut.

    Attributes:
        kind: A key of `BLOCKS`.
        width: Channels inside the block; a bottleneck puts out four times as many.
        stride: Step of the one convolution that has it, and of the shortcut.
        norm: As in `ResNet`.
        conv: As in `ResNet`.
    """

    kind: str
    width: int
    stride: int
    norm: str
    conv: str

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        layers, y = BLOCKS[self.kind], x
        for index, (window, share, strided) in enumerate(layers, start=1):
            stride = self.stride if strided else 1
            y = Conv(self.width * share, window, stride, window // 2, impl=self.conv,
                     name=f'conv{index}')(y)
            y = normalise(y, self.norm, train=train, layer=f'norm{index}')
            if index < len(layers):
                y = nn.relu(y)
        if x.shape != y.shape:
            x = Conv(y.shape[-1], 1, self.stride, 0, impl=self.conv, name='shortcut')(x)
            x = normalise(x, self.norm, train=train, layer='shortcut_norm')
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network.

    Attributes:
        depths: Blocks of each stage.
        block: 'basic' or 'bottleneck'.
        num_outputs: Width of the last linear layer; 0 returns the pooled features instead.
        width: Channels of the first stage; doubled in every later one.
        norm: 'batch' or 'group'.
        conv: Implementation of the convolutions, 'lax' or 'matmul' (see `nn/conv.py`).
    """

    depths: tuple[int, ...]
    block: str
    num_outputs: int = 1000
    width: int = 64
    norm: str = 'batch'
    conv: str = 'lax'

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Maps normalised images to outputs.

        Args:
            x: `[b, h, w, c]`, normalised as the weights expect.
            train: Whether batch normalisation uses and records the batch's statistics.

        Returns:
            Outputs `[b, num_outputs]` (or features `[b, d]`), and a dict: `stem` (stride 4),
            `stage1` to `stage4` (torchvision's layer1 to layer4, the paper's conv2_x to conv5_x;
            strides 4 to 32), `features` `[b, d]`. Under `jit`, what is not used is not computed.
        """
        check_rank('x', x, 4)
        x = Conv(self.width, 7, 2, 3, impl=self.conv, name='stem')(x)
        x = nn.relu(normalise(x, self.norm, train=train, layer='stem_norm'))
        x = max_pool(x, 3, strides=2, padding=1)
        maps = {'stem': x}
        for stage, depth in enumerate(self.depths, start=1):
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                x = ResidualBlock(
                    self.block, self.width * 2 ** (stage - 1), stride, self.norm, self.conv,
                    name=f'stage{stage}_block{index}',
                )(x, train=train)
            maps[f'stage{stage}'] = x
        maps['features'] = x.mean((1, 2))  # [b, d]
        if not self.num_outputs:
            return maps['features'], maps
        head = nn.Dense(self.num_outputs, kernel_init=DENSE_INIT, name='head')
        return head(maps['features']), maps


def build(variant: str, **overrides: Any) -> ResNet:
    """A ResNet of the paper's table.

    Args:
        variant: A key of `VARIANTS`.
        **overrides: Fields of `ResNet` (`num_outputs`, `width`, `norm`, `conv`, `depths`).

    Returns:
        The module.

    Raises:
        InputError: On a name that is not in `VARIANTS`.

    Source: He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016.
    """
    if variant not in VARIANTS:
        raise InputError(f"no ResNet '{variant}'{nearest(variant, VARIANTS)}")
    return ResNet(**{**VARIANTS[variant], **overrides})

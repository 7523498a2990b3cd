"""VGG-16 and VGG-19, layer for layer as in torchvision, with narrow variants for tests."""

from typing import Any

import flax.linen as nn
import jax

from vision_jax.core.checks import check_choice, check_rank
from vision_jax.nn.conv import Conv
from vision_jax.nn.norm import adaptive_mean_pool, l2_pool, max_pool, normalise
from vision_jax.nn.resnet import DENSE_INIT

VARIANTS = {
    # Simonyan, Zisserman, ICLR 2015, table 1, columns D and E: convolutions of each stage.
    '16': {'depths': (2, 2, 3, 3, 3)},
    '19': {'depths': (2, 2, 4, 4, 4)},
}
POOLS = {'max': lambda x: max_pool(x, 2), 'l2': l2_pool}
HEAD_SIDE = 7  # the first linear layer sees 7x7 pixels, whatever the image's size


class VGG(nn.Module):
    """Stages of 3x3 convolutions with ReLU, a pooling between each two.

    Attributes:
        depths: Convolutions of each stage.
        num_outputs: Width of the last linear layer; 0 returns the features instead, and leaves out
            the last pooling and the three linear layers.
        width: Channels of the first stage; doubled in every later one, up to eight times.
        hidden: Width of the two linear layers before the last.
        norm: 'none' as in the paper, or 'batch' (torchvision's vgg16_bn) or 'group'.
        dropout: Share of the hidden numbers that training sets to 0.
        pool: A key of `POOLS`; 'l2' is `norm.l2_pool`.
        conv: Implementation of the convolutions, 'lax' or 'matmul' (see `nn/conv.py`).
    """

    depths: tuple[int, ...]
    num_outputs: int = 1000
    width: int = 64
    hidden: int = 4096
    norm: str = 'none'
    dropout: float = 0.5
    pool: str = 'max'
    conv: str = 'lax'

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Maps normalised images to outputs.

        Args:
            x: `[b, h, w, 3]`, normalised as the weights expect.
            train: Whether dropout is on, and batch normalisation uses the batch's statistics.

        Returns:
            Outputs `[b, num_outputs]` (or features `[b, d]`), and a dict: `stage1` to `stage5`
            (after the last ReLU of each: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 of VGG-16;
            strides 1 to 16), with linear layers `pool5` (stride 32), and `features` `[b, d]`, the
            mean of stage5. Under `jit`, what is not used is not computed.
        """
        check_rank('x', x, 4)
        check_choice('pool', self.pool, POOLS)
        pool, maps = POOLS[self.pool], {}
        for stage, depth in enumerate(self.depths, start=1):
            x = x if stage == 1 else pool(x)
            for index in range(1, depth + 1):
                name = f'stage{stage}_conv{index}'
                x = Conv(self.width * min(2 ** (stage - 1), 8), 3, 1, 1, bias=True,
                         impl=self.conv, name=name)(x)
                x = normalise(x, self.norm, train=train, layer=f'stage{stage}_norm{index}')
                x = nn.relu(x)
            maps[f'stage{stage}'] = x
        features = x.mean((1, 2))  # [b, d]
        if not self.num_outputs:
            return features, {**maps, 'features': features}
        maps['pool5'] = x = pool(x)
        return self._head(x, train), {**maps, 'features': features}

    def _head(self, x: jax.Array, train: bool) -> jax.Array:
        x = adaptive_mean_pool(x, HEAD_SIDE)
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channels first, as torch's weights expect
        for name in ('fc6', 'fc7'):
            x = nn.relu(nn.Dense(self.hidden, kernel_init=DENSE_INIT, name=name)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_outputs, kernel_init=DENSE_INIT, name='head')(x)


def build(variant: str, **overrides: Any) -> VGG:
    """A VGG of the paper's table.

    Args:
        variant: A key of `VARIANTS`.
        **overrides: Fields of `VGG` (`num_outputs`, `width`, `hidden`, `norm`, `pool`, `conv`).

    Returns:
        The module.

    Raises:
        InputError: On a name that is not in `VARIANTS`.

    Source: Simonyan, Zisserman: Very deep convolutional networks for large-scale image
        recognition, ICLR 2015.
    """
    check_choice('variant', variant, VARIANTS)
    return VGG(**{**VARIANTS[variant], **overrides})

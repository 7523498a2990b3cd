"""AlexNet as in torchvision: the one-column network of 2014, with narrow variants for tests."""

from typing import Any

import flax.linen as nn
import jax

from vision_jax.core.checks import check_choice, check_rank
from vision_jax.nn.conv import Conv
from vision_jax.nn.norm import adaptive_mean_pool, max_pool, normalise
from vision_jax.nn.resnet import DENSE_INIT

VARIANTS = {
    # Krizhevsky 2014: "one column" of the network of 2012, without local response normalisation.
    'one_column': {},
}
# (share of `width`, window, stride, padding, whether a 3x3 max pooling of stride 2 comes before)
LAYERS = (
    (1, 11, 4, 2, False), (3, 5, 1, 2, True), (6, 3, 1, 1, True), (4, 3, 1, 1, False),
    (4, 3, 1, 1, False),
)
LEAST_SIDE = 31  # pixels, of which one is left after the second pooling
HEAD_SIDE = 6  # the first linear layer sees 6x6 pixels, whatever the image's size


class AlexNet(nn.Module):
    """Five convolutions with ReLU, and three linear layers.

    Attributes:
        num_outputs: Width of the last linear layer; 0 returns the features instead, and leaves out
            the last pooling and the three linear layers.
        width: Channels of the first convolution; the others have 3, 6, 4 and 4 times as many.
        hidden: Width of the two linear layers before the last.
        norm: 'none' as torchvision, 'batch' or 'group'.
        dropout: Share of the numbers before the first two linear layers that training sets to 0.
        conv: Implementation of the convolutions, 'lax' or 'matmul' (see `nn/conv.py`).
    """

    num_outputs: int = 1000
    width: int = 64
    hidden: int = 4096
    norm: str = 'none'
    dropout: float = 0.5
    conv: str = 'lax'

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Maps normalised images to outputs.

        Args:
            x: `[b, h, w, 3]`, normalised as the weights expect; at least 31 pixels a side, with
                linear layers 63.
            train: Whether dropout is on, and batch normalisation uses the batch's statistics.

        Returns:
            Outputs `[b, num_outputs]` (or features `[b, d]`), and a dict: `stage1` to `stage5`
            (after each ReLU; strides 4, 8, 16, 16, 16), with linear layers `pool5` (stride 32), and
            `features` `[b, d]`, the mean of stage5. Under `jit`, what is not used is not computed.
        """
        check_rank('x', x, 4)
        maps = {}
        for stage, (share, window, stride, padding, pooled) in enumerate(LAYERS, start=1):
            x = max_pool(x, 3, strides=2) if pooled else x
            x = Conv(self.width * share, window, stride, padding, bias=True, impl=self.conv,
                     name=f'conv{stage}')(x)
            x = nn.relu(normalise(x, self.norm, train=train, layer=f'norm{stage}'))
            maps[f'stage{stage}'] = x
        features = x.mean((1, 2))  # [b, d]
        if not self.num_outputs:
            return features, {**maps, 'features': features}
        maps['pool5'] = x = max_pool(x, 3, strides=2)
        return self._head(x, train), {**maps, 'features': features}

    def _head(self, x: jax.Array, train: bool) -> jax.Array:
        x = adaptive_mean_pool(x, HEAD_SIDE)
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channels first, as torch's weights expect
        for name in ('fc6', 'fc7'):
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = nn.relu(nn.Dense(self.hidden, kernel_init=DENSE_INIT, name=name)(x))
        return nn.Dense(self.num_outputs, kernel_init=DENSE_INIT, name='head')(x)


def build(variant: str, **overrides: Any) -> AlexNet:
    """An AlexNet.

    Args:
        variant: A key of `VARIANTS`.
        **overrides: Fields of `AlexNet` (`num_outputs`, `width`, `hidden`, `norm`, `conv`).

    Returns:
        The module.

    Raises:
        InputError: On a name that is not in `VARIANTS`.

    Source: Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014.
    """
    check_choice('variant', variant, VARIANTS)
    return AlexNet(**{**VARIANTS[variant], **overrides})

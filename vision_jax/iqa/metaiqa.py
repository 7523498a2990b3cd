"""MetaIQA's quality network: a ResNet and a regression head with a sigmoid.

The network is ordinary; what makes it MetaIQA is how it is trained: distortion types are tasks,
and the outer step averages what each task's two inner updates moved (`meta/bilevel.py`).
"""

from typing import Any

import flax.linen as nn
import jax

from vision_jax.nn import resnet

VARIANTS = {
    # Zhu et al., CVPR 2020, section 4.1: ResNet-18, all 1000 logits into the head.
    'resnet18': {'trunk': '18', 'hidden': (1024, 512), 'dropout': 0.5},
    # For tests and smoke runs; not in the paper.
    'tiny': {'trunk': '18', 'hidden': (16,), 'dropout': 0.0},
}
TINY_TRUNK = {'width': 4, 'num_outputs': 16}


class RegressionHead(nn.Module):
    """Fully connected layers, each with batch norm, PReLU and dropout; then one sigmoid output.

    Attributes:
        hidden: Widths of the hidden layers.
        dropout: Share of units dropped while training, in [0, 1).
        batch_norm: Whether hidden layers are normalised over the batch.
        sigmoid: Whether the output is squashed to (0, 1).
    """

    hidden: tuple[int, ...] = (1024, 512)
    dropout: float = 0.5
    batch_norm: bool = True
    sigmoid: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        for index, width in enumerate(self.hidden):
            x = nn.Dense(width, name=f'dense{index}')(x)
            if self.batch_norm:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, epsilon=1e-5, name=f'norm{index}'
                )(x)
            x = nn.PReLU(negative_slope_init=0.25, name=f'prelu{index}')(x)  # torch's start
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        logit = nn.Dense(1, name='output')(x)[..., 0]  # [b]
        return (nn.sigmoid(logit) if self.sigmoid else logit), {'logit': logit}


class MetaIQA(nn.Module):
    """A trunk, its outputs, and a regression head.

    Attributes:
        trunk: Module `images [b, h, w, 3] -> (outputs [b, d], intermediates)`.
        head: Module `outputs [b, d] -> (quality [b], intermediates)`.
    """

    trunk: nn.Module
    head: nn.Module

    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        outputs, intermediates = self.trunk(imagenet_normalise(x), train=train)
        quality, head = self.head(outputs, train=train)
        return quality, {'trunk': intermediates, 'head': head}


def imagenet_normalise(x: jax.Array) -> jax.Array:
    """(x - mean) / std of ImageNet's training images, as torchvision's ResNets expect.

    Args:
        x: RGB `*b h w 3` in [0, 1].
    """
    mean = jax.numpy.asarray((0.485, 0.456, 0.406), x.dtype).reshape((1,) * (x.ndim - 1) + (3,))
    std = jax.numpy.asarray((0.229, 0.224, 0.225), x.dtype).reshape((1,) * (x.ndim - 1) + (3,))
    return (x - mean) / std


def build(variant: str = 'resnet18', **overrides) -> MetaIQA:
    """MetaIQA's network.

    Args:
        variant: A key of `VARIANTS`.
        **overrides: `hidden`, `dropout`, `batch_norm` of the head; anything else goes to
            `nn.resnet.build` (`norm`, `conv`, `width`, ...).

    Returns:
        The module; called with images in [0, 1], `[b, h, w, 3]`, it returns the quality `[b]` in
        (0, 1), higher being better, and its intermediates.

    Source: Zhu, Li, Wu, Dong, Shi: MetaIQA, CVPR 2020; head as in the released code.
    """
    options = {**VARIANTS[variant], **overrides}
    head = RegressionHead(
        **{k: options.pop(k) for k in ('hidden', 'dropout', 'batch_norm') if k in options}
    )
    trunk = options.pop('trunk')
    if variant == 'tiny':
        options = {**TINY_TRUNK, **options}
    return MetaIQA(trunk=resnet.build(trunk, **options), head=head)

"""EfficientNet-Lite0 to Lite2: EfficientNet without squeeze-and-excitation, with ReLU6."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_rank
from vision_jax.core.errors import InputError, nearest
from vision_jax.nn.conv import Conv
from vision_jax.nn.norm import normalise as normalisation

VARIANTS = {
    # tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py: factors of
    # width and depth, dropout before the last layer. Trained at 224, 240 and 260 pixels.
    'lite0': {'width_factor': 1.0, 'depth_factor': 1.0, 'dropout': 0.2},
    'lite1': {'width_factor': 1.0, 'depth_factor': 1.1, 'dropout': 0.2},
    'lite2': {'width_factor': 1.1, 'depth_factor': 1.2, 'dropout': 0.3},
}


class Stage(NamedTuple):
    """One row of the paper's table: `repeats` blocks, the first of them with the stride."""

    expansion: int
    window: int
    stride: int
    channels: int
    repeats: int


# Tan, Le: EfficientNet, ICML 2019, table 1, stages 2 to 8 (B0).
STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
STEM, TOP = 32, 1280  # channels, the same in all Lite variants
NORM = {'momentum': 0.01, 'epsilon': 1e-3}  # the builder's 0.99 and 1e-3, in torch's terms
# The builder's dense_kernel_initializer: U(-1/sqrt(outputs), 1/sqrt(outputs)).
DENSE_INIT = nn.initializers.variance_scaling(1 / 3, 'fan_out', 'uniform')


def normalise(x: jax.Array) -> jax.Array:
    """Images in [0, 1] as the published Lite weights expect them: in [-1, 1].

    Formula: `(x - 0.5) / 0.5`.

    Args:
        x: `*b h w c`, in [0, 1].

    Returns:
        `*b h w c`.

    Source: MEAN_RGB and STDDEV_RGB of the builder named at `VARIANTS`.
    Notes: The builder has 127 and 128 on 8-bit values, (255 x - 127) / 128; the ports to torch,
        whose weights `weights/published.py` reads, take 0.5 and 0.5. They differ by 1/128.
    """
    return (x - 0.5) / 0.5


def scaled_stages(width_factor: float, depth_factor: float) -> tuple[Stage, ...]:
    """The stages of a variant: channels in multiples of 8, depths rounded up.

    Args:
        width_factor: By which channels are multiplied.
        depth_factor: By which the repeats of a stage are.

    Notes: Lite variants keep the depth of the first and the last stage (`fix_head_stem`).
    """
    def channels(stage):
        wide = stage.channels * width_factor
        rounded = max(8, int(wide + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wide else rounded

    def repeats(stage):
        if stage in (STAGES[0], STAGES[-1]):
            return stage.repeats
        return math.ceil(stage.repeats * depth_factor)

    return tuple(s._replace(channels=channels(s), repeats=repeats(s)) for s in STAGES)


class InvertedBottleneck(nn.Module):
    """Widen by a 1x1 convolution, filter each channel, narrow again; add the input if it fits.

    Attributes:
        expansion: Factor of the widening; 1 leaves it out.
        window: Side of the depthwise filter.
        stride: Its step.
        channels: Output channels.
        norm: As in `EfficientNetLite`.
        conv: As in `EfficientNetLite`.
        drop_connect: As in `EfficientNetLite`, for this block.
    """

    expansion: int
    window: int
    stride: int
    channels: int
    norm: str
    conv: str
    drop_connect: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        def convolve(y, name, channels, window=1, stride=1, groups=1):
            y = Conv(channels, window, stride, groups=groups, impl=self.conv, name=name)(y)
            return normalisation(y, self.norm, train=train, layer=f'{name}_norm', **NORM)

        wide, y = x.shape[-1] * self.expansion, x
        if self.expansion != 1:
            y = nn.relu6(convolve(y, 'expand', wide))
        y = nn.relu6(convolve(y, 'depthwise', wide, self.window, self.stride, groups=wide))
        y = convolve(y, 'project', self.channels)
        if x.shape != y.shape:
            return y
        keep = nn.Dropout(self.drop_connect, broadcast_dims=(1, 2, 3), deterministic=not train)
        return x + keep(y)


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite.

    Attributes:
        width_factor: Factor of the stages' channels.
        depth_factor: Factor of the stages' depths.
        dropout: Share of features dropped before the last layer while training.
        drop_connect: Share of whole residual branches dropped while training in the last block,
            rising linearly from 0 in the first. The ImageNet recipe has 0.2; here it is off, for
            fine-tuning on few images. Both need a 'dropout' key when training.
        num_outputs: Width of the last linear layer; 0 returns the pooled features instead.
        norm: 'batch' or 'group'.
        conv: Implementation of the convolutions, 'lax' or 'matmul' (see `nn/conv.py`).
    """

    width_factor: float = 1.0
    depth_factor: float = 1.0
    dropout: float = 0.2
    drop_connect: float = 0.0
    num_outputs: int = 1000
    norm: str = 'batch'
    conv: str = 'lax'

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Maps normalised images to outputs.

        Args:
            x: `[b, h, w, 3]` from `normalise`.
            train: Whether batch normalisation uses and records the batch's statistics, and
                dropout is on.

        Returns:
            Outputs `[b, num_outputs]` (or features `[b, 1280]`), and a dict: `stem` (stride 2),
            `stage0` to `stage6` (strides 2, 4, 8, 16, 16, 32, 32), `features` `[b, 1280]`. Under
            `jit` what is not used is not computed: to run the early stages only, return only
            those of their entries that are wanted.
        """
        check_rank('x', x, 4)
        x = Conv(STEM, 3, 2, impl=self.conv, name='stem')(x)
        x = nn.relu6(normalisation(x, self.norm, train=train, layer='stem_norm', **NORM))
        maps = {'stem': x}
        stages = scaled_stages(self.width_factor, self.depth_factor)
        total, number = sum(stage.repeats for stage in stages), 0
        for index, stage in enumerate(stages):
            for repeat in range(stage.repeats):
                x = InvertedBottleneck(
                    stage.expansion, stage.window, stage.stride if repeat == 0 else 1,
                    stage.channels, self.norm, self.conv, self.drop_connect * number / total,
                    name=f'block{number}',
                )(x, train=train)
                number += 1
            maps[f'stage{index}'] = x
        x = Conv(TOP, 1, impl=self.conv, name='top')(x)
        x = nn.relu6(normalisation(x, self.norm, train=train, layer='top_norm', **NORM))
        maps['features'] = jnp.mean(x, (1, 2))  # [b, 1280]
        if not self.num_outputs:
            return maps['features'], maps
        x = nn.Dropout(self.dropout, deterministic=not train)(maps['features'])
        return nn.Dense(self.num_outputs, kernel_init=DENSE_INIT, name='head')(x), maps


def build(variant: str, **overrides: Any) -> EfficientNetLite:
    """An EfficientNet-Lite of the published table.

    Args:
        variant: A key of `VARIANTS`.
        **overrides: Fields of `EfficientNetLite` (`num_outputs`, `norm`, `conv`, `dropout`, ...);
            a small `width_factor` makes a variant for tests.

    Returns:
        The module.

    Raises:
        InputError: On a name that is not in `VARIANTS`.

    Source: Tan, Le: EfficientNet, ICML 2019; the Lite variants: tensorflow/tpu, 2020.
    """
    if variant not in VARIANTS:
        raise InputError(f"no EfficientNet-Lite '{variant}'{nearest(variant, VARIANTS)}")
    return EfficientNetLite(**{**VARIANTS[variant], **overrides})

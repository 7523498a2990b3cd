"""Quality from what blurring once more does to a classifier's early stages, and a small head.

Late features of a classifier are trained to ignore distortions; the channel-wise mean and spread
of its early stages see them, but see the content too. What a further blur changes in them depends
on the content far less: an image that is blurred already changes little, noise vanishes, edges of
blocks soften (the idea of Crete et al.'s blur metric, on features instead of pixels). With the
trunk frozen these statistics are computed once an image (`StageStatistics.features`), and whatever
adapts, adapts the head.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vision_jax.nn import efficientnet_lite
from vision_jax.ops import filters

VARIANTS = {
    # Stage names of `nn.efficientnet_lite`: everything up to stride 8.
    'lite0': {'trunk': 'lite0', 'stages': ('stem', 'stage0', 'stage1', 'stage2')},
}
EPSILON = 1e-6  # added to the variance before the logarithm


def channel_statistics(x: jax.Array) -> jax.Array:
    """Mean and log standard deviation of each channel over the image.

    Formula: `[mean_c, 0.5 log(var_c + 1e-6)]`.

    Args:
        x: Feature map `[*b, h, w, c]`.

    Returns:
        `[*b, 2 c]`.
    """
    mean = x.mean(axis=(-3, -2))  # [*b, c]
    variance = jnp.square(x - mean[..., None, None, :]).mean(axis=(-3, -2))
    return jnp.concatenate([mean, 0.5 * jnp.log(variance + EPSILON)], axis=-1)


class LinearHead(nn.Module):
    """Standardises features by fixed statistics and maps them linearly to one number.

    The statistics are those of the batch that the module is initialised on (the training
    features), and stay as they are: inside an inner loop they must not follow one task.
    Standardised features are clipped to [-5, 5] and divided by sqrt(d), so that one inner
    learning rate serves any number of features.

    Attributes:
        clip: Bound on standardised features.
    """

    clip: float = 5.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        del train
        mean = self.variable('statistics', 'mean', lambda: x.mean(0))
        deviation = self.variable('statistics', 'deviation', lambda: x.std(0) + 1e-3)
        z = jnp.clip((x - mean.value[None]) / deviation.value[None], -self.clip, self.clip)
        z = z / jnp.sqrt(x.shape[-1])
        quality = nn.Dense(1, kernel_init=nn.initializers.zeros_init(), name='output')(z)[..., 0]
        return quality, {'standardised': z}


class StageStatistics(nn.Module):
    """A trunk's early stages, their channel statistics, and a head.

    Attributes:
        trunk: Module with the intermediates named in `stages`.
        head: Module `features [b, d] -> (quality [b], intermediates)`.
        stages: Names of the intermediates to take.
        reblur: Standard deviation in pixels of the blur whose effect on the statistics is the
            feature; 0 takes the statistics themselves.
    """

    trunk: nn.Module
    head: nn.Module
    stages: tuple[str, ...]
    reblur: float = 1.2

    def features(self, x: jax.Array) -> jax.Array:
        """Statistics of the stages for images `[b, h, w, 3]` in [0, 1]: `[b, d]`."""
        if not self.reblur:
            return self.statistics(x)
        return self.statistics(x) - self.statistics(filters.gaussian_blur(x, self.reblur))

    def statistics(self, x: jax.Array) -> jax.Array:
        """`channel_statistics` of each stage, side by side: `[b, d]`."""
        # The trunk's batch statistics stay as they are: it is frozen or fine-tuned, never fitted.
        _, maps = self.trunk(efficientnet_lite.normalise(x), train=False)
        return jnp.concatenate([channel_statistics(maps[name]) for name in self.stages], axis=-1)

    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        features = self.features(x)
        quality, intermediates = self.head(features, train=train)
        return quality, {'features': features, **intermediates}


def build(
    variant: str = 'lite0',
    *,
    stages: tuple[str, ...] = (),
    reblur: float = 1.2,
    **overrides,
) -> StageStatistics:
    """A quality network on the early stages of EfficientNet-Lite.

    Args:
        variant: A key of `VARIANTS`.
        stages: Intermediates to take instead of the variant's.
        reblur: See `StageStatistics`.
        **overrides: For `nn.efficientnet_lite.build`.

    Returns:
        The module; it maps images in [0, 1], `[b, h, w, 3]`, to `(quality [b], intermediates)`.
    """
    row = VARIANTS[variant]
    return StageStatistics(
        trunk=efficientnet_lite.build(row['trunk'], **overrides),
        head=LinearHead(),
        stages=tuple(stages or row['stages']),
        reblur=reblur,
    )

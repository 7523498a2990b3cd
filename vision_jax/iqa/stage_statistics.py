"""Quality from a classifier's early stages, what a further blur does to them, and a small head.

Late features of a classifier are trained to ignore distortions; the channel-wise mean and spread
of its early stages see them, but see the content too. What a further blur changes in them depends
on the content far less: an image that is blurred already changes little, noise vanishes, edges of
blocks soften (the idea of Crete et al.'s blur metric, on features instead of pixels). Both are
features here. With the trunk frozen they are computed once an image (`StageStatistics.features`),
and whatever adapts, adapts the head.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vision_jax.nn import efficientnet_lite
from vision_jax.ops import filters

VARIANTS = {
    # Stage names of `nn.efficientnet_lite`: everything up to stride 16.
    'lite0': {'trunk': 'lite0', 'stages': ('stem', 'stage0', 'stage1', 'stage2', 'stage3')},
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
    """Whitens features in part, by fixed statistics, and maps them linearly to one number.

    Formula: `q = w . u min(1, longest / |u|) + b`, `u = B z / sqrt(d)`,
    `z = clip((x - mean) / deviation)`,
    `B = (C / mean variance + ridge I)^(-whitening / 2)` with the covariance `C` of `z`.

    The statistics are those of the batch that the module is initialised on (the training
    features), and stay as they are: inside an inner loop they must not follow one task. With
    `whitening` between 0 and 1 a few gradient steps also reach directions in which the features
    vary little. The root of d lets one inner learning rate serve any number of features, and the
    greatest length keeps it stable on images unlike those of the first batch: gradient descent on
    the squared error converges at rates below `1 / (longest^2 + 1)`.

    Attributes:
        clip: Bound on standardised features.
        longest: Bound on the length of `u`, which is about 1 on the first batch.
        whitening: 0 for none, 1 for all.
        ridge: Added to the variances, as a share of their mean: batches of fewer images than
            features leave some at 0.
    """

    clip: float = 5.0
    longest: float = 2.0
    whitening: float = 0.4
    ridge: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        del train
        mean = self.variable('statistics', 'mean', lambda: x.mean(0))
        deviation = self.variable('statistics', 'deviation', lambda: x.std(0) + 1e-3)
        z = jnp.clip((x - mean.value[None]) / deviation.value[None], -self.clip, self.clip)
        basis = self.variable('statistics', 'basis', lambda: self.basis(z))  # [d, d]
        u = z @ basis.value / jnp.sqrt(x.shape[-1])
        square = jnp.square(u).sum(-1, keepdims=True)
        u = u * jnp.minimum(1, self.longest * jax.lax.rsqrt(square + EPSILON))
        quality = nn.Dense(1, kernel_init=nn.initializers.zeros_init(), name='output')(u)[..., 0]
        return quality, {'whitened': u}

    def basis(self, z: jax.Array) -> jax.Array:
        """`B` of standardised features `[n, d]`: symmetric, `[d, d]`."""
        centred = z - z.mean(0)[None]
        variances, directions = jnp.linalg.eigh(centred.T @ centred / len(z))
        share = jnp.maximum(variances, 0) / jnp.maximum(variances.mean(), EPSILON) + self.ridge
        return (directions * share[None] ** (-self.whitening / 2)) @ directions.T


class StageStatistics(nn.Module):
    """A trunk's early stages, their channel statistics, and a head.

    Attributes:
        trunk: Module with the intermediates named in `stages`.
        head: Module `features [b, d] -> (quality [b], intermediates)`.
        stages: Names of the intermediates to take.
        reblur: Standard deviation in pixels of the blur whose effect on the statistics is taken
            besides the statistics themselves; 0 for none.
    """

    trunk: nn.Module
    head: nn.Module
    stages: tuple[str, ...]
    reblur: float = 1.2

    def features(self, x: jax.Array) -> jax.Array:
        """Statistics of the stages for images `[b, h, w, 3]` in [0, 1]: `[b, d]`."""
        if not self.reblur:
            return self.statistics(x)
        sharp = self.statistics(x)
        change = sharp - self.statistics(filters.gaussian_blur(x, self.reblur))
        return jnp.concatenate([sharp, change], axis=-1)

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

"""Small tasks for the tests of the engine, and an optimizer that shows its gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vision_jax.core.task import Task
from vision_jax.losses import regression
from vision_jax.tasks.quality import quality_task

SIDE = 8


class Perceptron(nn.Module):
    """Features [b, d] to one number."""

    dropout: float = 0.0

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.tanh(nn.Dense(8, name='hidden')(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, name='head')(x)[..., 0], {}


class Convolutions(nn.Module):
    """Images [b, 8, 8, 3] to one number, with batch or group norm."""

    norm: str = 'batch'

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Conv(4, (3, 3), strides=2, name='conv')(x)
        if self.norm == 'batch':
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name='norm')(x)
        else:
            x = nn.GroupNorm(num_groups=2, name='norm')(x)
        return nn.Dense(1, name='head')(nn.relu(x).mean((1, 2)))[..., 0], {}


def perceptron_task(dropout: float = 0.0) -> Task:
    """Regression from features."""
    return quality_task(Perceptron(dropout), regression.squared_error, field='features')


def convolution_task(norm: str) -> Task:
    """Regression from images."""
    return quality_task(Convolutions(norm), regression.squared_error)


def feature_batch(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Features and a label that depends on them."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 5)).astype(np.float32)
    return {'features': features, 'quality': np.tanh(features[:, 0] - features[:, 1])}


def image_batch(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Images and a label that depends on them."""
    random = np.random.default_rng(seed)
    image = random.uniform(size=(rows, SIDE, SIDE, 3)).astype(np.float32)
    return {'image': image, 'quality': 5 * (image[..., 0] - image[..., 1]).mean((1, 2))}


def episode_batch(rows: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Tasks of 4 support and 3 query examples; each weighs the first two features differently."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 7, 5)).astype(np.float32)
    angle = random.uniform(0, 1, size=(rows, 1)).astype(np.float32)
    quality = np.tanh(np.cos(angle) * features[..., 0] - np.sin(angle) * features[..., 1])
    whole = {'features': features, 'quality': quality}
    return {
        'support': {name: x[:, :4] for name, x in whole.items()},
        'query': {name: x[:, 4:] for name, x in whole.items()},
    }


def with_mask(batch: dict[str, np.ndarray], real: int) -> dict[str, np.ndarray]:
    """The batch with its rows from `real` on declared padding."""
    return {**batch, 'mask': (np.arange(num_rows(batch)) < real).astype(np.float32)}


def num_rows(batch: dict[str, np.ndarray]) -> int:
    """The length of the leading axis."""
    return len(jax.tree.leaves(batch)[0])


def record_gradients() -> optax.GradientTransformation:
    """Moves nothing; its state is the gradient that it was last given."""
    def update(gradients, state, params=None):
        del state, params
        return jax.tree.map(jnp.zeros_like, gradients), gradients

    return optax.GradientTransformation(lambda p: jax.tree.map(jnp.zeros_like, p), update)


def relative_error(got, expected) -> float:
    """|got - expected| / |expected| over all leaves, in double precision."""
    pairs = list(zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True))
    difference = sum(np.square(np.float64(a) - np.float64(b)).sum() for a, b in pairs)
    return float(np.sqrt(difference / sum(np.square(np.float64(b)).sum() for _, b in pairs)))

"""Ranks and rank correlation as array functions, for use under `vmap` and `jit`."""

import jax.numpy as jnp

from vision_jax.core.checks import check_same_shape


def average_ranks(values, *, mask=None):
    """Ranks from 1, ties having the mean of theirs, by comparing all pairs.

    Args:
        values: `*b n`.
        mask: `*b n`, 0 for entries that do not count; their own rank has no meaning.

    Returns:
        Ranks `*b n`.
    """
    weight = jnp.ones(jnp.shape(values)) if mask is None else mask
    check_same_shape('values', values, 'mask', weight)
    own, other, weight = values[..., :, None], values[..., None, :], weight[..., None, :]
    below = jnp.sum(jnp.where(other < own, weight, 0), axis=-1)
    equal = jnp.sum(jnp.where(other == own, weight, 0), axis=-1)
    return below + (equal + 1) / 2


def spearman(prediction, label, *, mask=None):
    """Spearman's rank correlation over the last axis; not differentiable (ranks are steps).

    Args:
        prediction: `*b n`.
        label: `*b n`.
        mask: `*b n`, 0 for padding.

    Returns:
        `*b` in [-1, 1]; NaN where all predictions or all labels are equal.
    """
    check_same_shape('prediction', prediction, 'label', label)
    weight = jnp.ones(jnp.shape(prediction)) if mask is None else mask
    x, y = (_centred(average_ranks(v, mask=weight), weight) for v in (prediction, label))
    return jnp.sum(x * y, -1) / jnp.sqrt(jnp.sum(x * x, -1) * jnp.sum(y * y, -1))


def _centred(ranks, weight):
    mean = jnp.sum(weight * ranks, -1, keepdims=True) / jnp.sum(weight, -1, keepdims=True)
    return weight * (ranks - mean)

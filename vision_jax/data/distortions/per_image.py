"""Applying a function of one image to a batch."""

from collections.abc import Callable

import jax


def map_images(function: Callable, image, *, key: jax.Array | None = None):
    """Maps a function of one image `h w c` over `*b h w c`, with a key of its own for each.

    Args:
        function: Takes an image, or (key, image) when a key is given.
        image: `*b h w c`.
        key: A key to split over the batch.

    Returns:
        `*b h w c`.
    """
    batch = image.shape[:-3]
    flat = image.reshape(-1, *image.shape[-3:])
    if key is None:
        out = jax.vmap(function)(flat)
    else:
        out = jax.vmap(function)(jax.random.split(key, flat.shape[0]), flat)
    return out.reshape(*batch, *out.shape[1:])

"""Fewer colours and levels: KADID-10k types 6 and 22."""

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_image
from vision_jax.data.distortions.palette import dither, minimum_variance_palette, nearest_colour
from vision_jax.data.distortions.per_image import map_images

BINS = 256


def colour_quantisation(image, *, colours: int, dithered: bool = True):
    """An image of a few colours of its own (type 6).

    Args:
        image: `*b h w 3` in [0, 1].
        colours: How many colours, at least 1.
        dithered: Diffuse the error (Floyd-Steinberg), as MATLAB's rgb2ind does unless told not to;
            otherwise take the nearest colour.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        The nearest colour is exact; rgb2ind looks it up in a table of 32 levels a channel.
    """
    check_image('image', image, channels=3)

    def quantise_one(image):
        palette = minimum_variance_palette(image, colours=colours)
        return dither(image, palette) if dithered else palette[nearest_colour(image, palette)]

    return map_images(quantise_one, image)


def level_quantisation(image, *, thresholds: int):
    """Few levels, chosen by Otsu's criterion over all channels together (type 22).

    A value up to the first threshold becomes 0, one above the last 1, one between two the upper.

    Args:
        image: `*b h w 3` in [0, 1].
        thresholds: How many thresholds, at least 1; there is one level more.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        The thresholds are the optimum over a histogram of 256 bins. The generator's multithresh
        searches from an even spacing and stops in a local optimum.
    """
    check_image('image', image, channels=3)

    def quantise_one(image):
        levels = otsu_thresholds(image, thresholds=thresholds)
        values = jnp.concatenate([jnp.zeros(1), levels[1:], jnp.ones(1)]).astype(image.dtype)
        below = jnp.round(image * (BINS - 1)) - 0.5  # half a bin, so that none is equal
        return values[jnp.searchsorted(levels * (BINS - 1), below)]

    return map_images(quantise_one, image)


def otsu_thresholds(values, *, thresholds: int):
    """The thresholds that leave the least variance within the classes.

    `max sum_k S_k^2 / P_k`, P_k and S_k the share and the first moment of class k, by dynamic
    programming over the borders of 256 bins.

    Args:
        values: Any shape, in [0, 1].
        thresholds: How many.

    Returns:
        Ascending values `thresholds`: the last bin of each class but the highest.

    Source:
        N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9
        (1979), section III.
    """
    bins = jnp.round(values.reshape(-1) * (BINS - 1)).astype(jnp.int32)
    histogram = jnp.zeros(BINS).at[bins].add(1.0) / bins.size
    level = np.arange(BINS) / (BINS - 1)
    share = jnp.concatenate([jnp.zeros(1), jnp.cumsum(histogram)])
    moment = jnp.concatenate([jnp.zeros(1), jnp.cumsum(histogram * level)])
    class_share = share[:, None] - share[None, :]  # [end, first]
    class_moment = moment[:, None] - moment[None, :]
    filled = class_share > 0
    score = jnp.where(filled, class_moment ** 2 / jnp.where(filled, class_share, 1.0), 0.0)
    valid = np.arange(BINS + 1)[:, None] > np.arange(BINS + 1)[None, :]
    score = jnp.where(valid, score, -jnp.inf)

    def extend(best, _):
        totals = best[None, :] + score
        return totals.max(axis=1), totals.argmax(axis=1)

    _, first_of_class = jax.lax.scan(extend, score[:, 0], None, length=thresholds)

    def walk_back(end, firsts):
        first = firsts[end]
        return first, first

    _, borders = jax.lax.scan(walk_back, jnp.int32(BINS), first_of_class, reverse=True)
    return (borders - 1) / (BINS - 1)

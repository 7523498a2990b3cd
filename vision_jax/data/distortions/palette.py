"""A palette of an image's own colours, and error diffusion onto it. One image `h w 3` at a time."""

import jax
import jax.numpy as jnp

CELLS = 32  # per channel, as Wu's code and MATLAB's rgb2ind


def minimum_variance_palette(image, *, colours: int):
    """Splits the colours into boxes by Wu's rule and returns the mean colour of each.

    The box with the greatest squared error is cut, at the plane that leaves the least in its two
    halves, until there are `colours` boxes.

    Args:
        image: `h w 3` in [0, 1].
        colours: How many boxes, at least 1.

    Returns:
        `colours 3`; where the image has fewer distinct cells, some colours repeat.

    Source:
        X. Wu, "Efficient statistical computations for optimal color quantization", Graphics Gems II
        (1991), pp. 126-133.
    """
    moments = _cumulative_moments(image)
    low = jnp.zeros((colours, 3), jnp.int32)
    high = jnp.full((colours, 3), CELLS)
    sums = jnp.broadcast_to(moments[-1, -1, -1], (colours, moments.shape[-1]))
    divisible = jnp.zeros(colours, bool).at[0].set(True)

    def split(count, boxes):
        low, high, sums, divisible = boxes
        worst = jnp.where(divisible, _squared_error(sums), -1.0).argmax()
        axis, plane, lower = _best_cut(moments, low[worst], high[worst], sums[worst])
        possible = lower[0] > 0  # else the new box is a copy of the old one
        moved = possible & (jnp.arange(3) == axis)
        upper = jnp.where(possible, sums[worst] - lower, sums[worst])
        lower = jnp.where(possible, lower, sums[worst])
        low = low.at[count].set(jnp.where(moved, plane, low[worst]))
        high = high.at[count].set(high[worst]).at[worst].set(
            jnp.where(moved, plane, high[worst]))
        sums = sums.at[count].set(upper).at[worst].set(lower)
        return low, high, sums, divisible.at[count].set(possible).at[worst].set(possible)

    boxes = jax.lax.fori_loop(1, colours, split, (low, high, sums, divisible))
    sums = boxes[2].astype(jnp.float32)
    return (sums[:, 1:4] / sums[:, :1] + 128) / 255


def _cumulative_moments(image):
    """Sums over all cells below a corner, `33 33 33 6`, in whole numbers and so without error.

    Of 1, r, g, b (8 bits, less 128) and r^2 + g^2 + b^2 as its multiples of 256 and its rest.
    """
    pixels = jnp.round(image.reshape(-1, 3) * 255).astype(jnp.int32)
    cell = pixels * CELLS // 256 + 1
    centred = pixels - 128
    square = (centred ** 2).sum(axis=1, keepdims=True)
    values = jnp.concatenate(
        [jnp.ones_like(square), centred, square // 256, square % 256], axis=1)
    table = jnp.zeros((CELLS + 1,) * 3 + (6,), jnp.int32)
    table = table.at[cell[:, 0], cell[:, 1], cell[:, 2]].add(values)
    return table.cumsum(axis=0).cumsum(axis=1).cumsum(axis=2)


def _squared_error(sums):
    """The sum of the squared distances of a box's pixels from their mean, `... 6 -> ...`."""
    sums = sums.astype(jnp.float32)
    return 256 * sums[..., 4] + sums[..., 5] - _explained(sums)


def _explained(sums):
    sums = sums.astype(jnp.float32)
    return (sums[..., 1:4] ** 2).sum(axis=-1) / jnp.maximum(sums[..., 0], 1.0)


def _best_cut(moments, low, high, sums):
    """The axis and plane that leave the least variance, and the moments below it (or 0: no cut)."""
    planes = jnp.arange(CELLS + 1)
    scores, lowers = [], []
    for axis in range(3):
        line = _line_sums(moments, axis, low, high)
        lower = line - line[low[axis]][None]
        inside = (planes > low[axis]) & (planes < high[axis])
        valid = inside & (lower[:, 0] > 0) & (lower[:, 0] < sums[0])
        score = _explained(lower) + _explained(sums[None] - lower)
        scores.append(jnp.where(valid, score, -1.0))
        lowers.append(lower)
    scores, lowers = jnp.concatenate(scores), jnp.concatenate(lowers)
    best = scores.argmax()
    return (best // planes.size, best % planes.size,
            jnp.where(scores[best] >= 0, lowers[best], 0))


def _line_sums(moments, axis: int, low, high):
    """Cumulative moments along one axis of a box that is bounded in the other two, `33 6`."""
    moments = jnp.moveaxis(moments, axis, 0)
    (low1, high1), (low2, high2) = ((low[i], high[i]) for i in range(3) if i != axis)
    first, second = (jnp.stack(i) for i in ((high1, low1, high1, low1), (high2, high2, low2, low2)))
    corners = moments[:, first, second]  # [33, 4, 6]
    return corners[:, 0] - corners[:, 1] - corners[:, 2] + corners[:, 3]


def nearest_colour(pixels, palette):
    """The index of the palette's nearest colour, `... 3 -> ...`.

    Args:
        pixels: `... 3`.
        palette: `n 3`.
    """
    products = jnp.einsum('...c,nc->...n', pixels, palette, precision=jax.lax.Precision.HIGHEST)
    lengths = (palette ** 2).sum(axis=1)
    lengths = lengths.reshape((1,) * (pixels.ndim - 1) + (-1,))
    return (lengths - 2 * products).argmin(axis=-1)


def dither(image, palette):
    """Floyd-Steinberg error diffusion onto a palette.

    Pixels with one value of `column + 2 row` do not depend on each other: a row works two pixels
    behind the one above it, and a wave crosses the image in `w + 2 h` steps.

    Args:
        image: `h w 3` in [0, 1].
        palette: `n 3`.

    Returns:
        `h w 3`, every pixel a colour of the palette.

    Source:
        R. Floyd, L. Steinberg, "An adaptive algorithm for spatial grey scale", Proc. SID 17 (1976).
    """
    height, width, _ = image.shape
    row = jnp.arange(height)
    column = jnp.arange(width + 2 * height - 2)[:, None] - 2 * row[None, :]  # [step, row]
    inside = (column >= 0) & (column < width)
    pixels = image[row[None, :], jnp.clip(column, 0, width - 1)]

    def step(errors, inputs):
        last, second, third = errors  # of the pixels one, two and three steps ago, each [row, 3]
        pixel, inside = inputs
        above = (5 * second + 3 * last + third) / 16
        above = jnp.concatenate([jnp.zeros((1, 3), pixel.dtype), above[:-1]])
        wanted = pixel + 7 / 16 * last + above
        chosen = palette[nearest_colour(wanted, palette)]
        error = jnp.where(inside[:, None], wanted - chosen, 0.0)
        return (error, last, second), chosen

    nothing = jnp.zeros((height, 3), image.dtype)
    _, chosen = jax.lax.scan(step, (nothing,) * 3, (pixels, inside))
    return chosen[jnp.arange(width)[None, :] + 2 * row[:, None], row[:, None]]

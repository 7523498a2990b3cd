"""A palette of an image's own colours, and error diffusion onto it. One image `h w 3` at a time."""

import jax
import jax.numpy as jnp

CELLS = 32  # per channel, as Wu's code and MATLAB's rgb2ind


def minimum_variance_palette(image, *, colours: int):
    """Splits the colours into boxes by Wu's rule and returns the mean colour of each.

    The box with the greatest variance is cut, at the plane that leaves the least variance in its two
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
    high = jnp.zeros((colours, 3), jnp.int32).at[0].set(CELLS)
    spread = jnp.full(colours, -1.0).at[0].set(1.0)

    def split(count, boxes):
        low, high, spread = boxes
        worst = spread.argmax()
        axis, position, gain = _best_cut(moments, low[worst], high[worst])
        cut = jnp.where(jnp.arange(3) == axis, position, 0)
        lower_high = jnp.where(jnp.arange(3) == axis, cut, high[worst])
        upper_low = jnp.where(jnp.arange(3) == axis, cut, low[worst])
        # where nothing is left to cut, the new box is a copy of the old one
        possible = gain > 0
        upper_low = jnp.where(possible, upper_low, low[worst])
        upper_high = high[worst]
        lower_high = jnp.where(possible, lower_high, high[worst])
        low, high = low.at[count].set(upper_low), high.at[count].set(upper_high)
        high = high.at[worst].set(lower_high)
        spread = spread.at[worst].set(
            jnp.where(possible, _variance(moments, low[worst], lower_high), -1.0))
        spread = spread.at[count].set(
            jnp.where(possible, _variance(moments, upper_low, upper_high), -1.0))
        return low, high, spread

    low, high, _ = jax.lax.fori_loop(1, colours, split, (low, high, spread))
    sums = jax.vmap(lambda a, b: _box_sum(moments, a, b))(low, high)
    return (sums[:, 1:4] / jnp.maximum(sums[:, :1], 1.0) + 128) / 255


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


def _box_sum(moments, low, high):
    """The moments of the cells in (low, high], by inclusion and exclusion, as floats."""
    total = 0
    for corner in range(8):
        upper = [(corner >> axis) & 1 for axis in range(3)]
        where = [high[axis] if up else low[axis] for axis, up in enumerate(upper)]
        sign = 1 if sum(upper) % 2 else -1
        total = total + sign * moments[where[0], where[1], where[2]]
    return total.astype(jnp.float32)


def _variance(moments, low, high):
    """The sum of squared distances of a box's pixels from their mean."""
    sums = _box_sum(moments, low, high)
    return 256 * sums[4] + sums[5] - _explained(sums)


def _best_cut(moments, low, high):
    """The axis and plane that leave the least variance, and how much that takes away."""
    whole = _box_sum(moments, low, high)
    planes = jnp.arange(1, CELLS)

    def gain_at(axis, plane):
        lower = _box_sum(moments, low, jnp.where(jnp.arange(3) == axis, plane, high))
        inside = (plane > low[axis]) & (plane < high[axis])
        valid = inside & (lower[0] > 0) & (lower[0] < whole[0])
        return jnp.where(valid, _explained(lower) + _explained(whole - lower), -jnp.inf)

    gains = jax.vmap(lambda axis: jax.vmap(lambda plane: gain_at(axis, plane))(planes))(
        jnp.arange(3))
    best = gains.argmax()
    gain = jnp.where(jnp.isfinite(gains.max()), gains.max() - _explained(whole), -1.0)
    return best // planes.size, planes[best % planes.size], gain


def _explained(sums):
    return (sums[1:4] ** 2).sum() / jnp.maximum(sums[0], 1.0)


def nearest_colour(pixels, palette):
    """The index of the palette's nearest colour, `... 3 -> ...`."""
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

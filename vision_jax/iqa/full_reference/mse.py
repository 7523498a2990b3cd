"""MSE: mean squared error."""

from vision_jax.core.checks import check_pair
from vision_jax.ops.colour import colour_planes


def mse(reference, distorted, *, colour: str = 'each', data_range: float = 1.0,
        return_map: bool = False):
    """Mean squared error of pairs; 0 for equal images, and lower is better.

    `MSE = mean((x - y)^2)` over pixels and channels, in squared units of the images.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour.
        distorted: The same shape.
        colour: 'each' takes all channels, a rule of `ops.colour.to_grey` the grey images.
        data_range: The value of white.
        return_map: Also return the squared errors.

    Returns:
        Errors `*b` in [0, data_range^2]; with `return_map` a pair of them and the map, `*b h w`,
        the mean over channels.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.
    """
    pair = check_pair(reference, distorted, data_range=data_range)
    squares = squared_errors(*pair, colour=colour) * data_range ** 2
    score = squares.mean((-3, -2, -1))
    if not return_map:
        return score
    channels = squares.reshape((*squares.shape[:-3], *pair[0].shape[-3:-1], -1))
    return score, channels.mean(-1)


def squared_errors(reference, distorted, *, colour: str = 'each'):
    """Squared differences of two checked images, rows whole.

    Args:
        reference: `*b h w c` in [0, 1].
        distorted: The same shape.
        colour: As in `mse`.

    Returns:
        `*b 1 h w*c`: channels stay beside each other, which is the fastest to add up; `*b 1 h w`
        for grey.
    """
    if colour != 'each':
        difference = colour_planes(reference, rule=colour) - colour_planes(distorted, rule=colour)
        return difference * difference
    difference = reference - distorted
    *batch, height, width, channels = difference.shape
    return (difference * difference).reshape((*batch, 1, height, width * channels))

"""PSNR: peak signal-to-noise ratio, of all channels or of the luma alone."""

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.mse import squared_errors
from vision_jax.ops.colour import colour_planes

AVERAGES = ('image', 'channels')


def psnr(reference, distorted, *, colour: str = 'each', average: str = 'image',
         epsilon: float = 0.0, data_range: float = 1.0):
    """PSNR of pairs in dB; infinite for equal images, and higher is better.

    `PSNR = 10 log10(data_range^2 / MSE)`.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour.
        distorted: The same shape.
        colour: 'each' takes all channels, a rule of `ops.colour.to_grey` the grey images.
        average: 'image' is the PSNR of the mean error over channels, as scikit-image, TensorFlow
            and torch's packages. 'channels' is the mean of every channel's PSNR, as OpenCV.
        epsilon: Added to the MSE on the scale of [0, 1]. With 0 equal images score infinity; with
            1e-8, piq's and pyiqa's number, 80 dB, and a PSNR of 60 dB is 0.04 dB low.
        data_range: The value of white.

    Returns:
        Scores `*b` in dB. The gradient is 0 for equal images, where the score is infinite.

    Raises:
        InputError: On a wrong shape, dtype or range, an unknown rule or a negative `epsilon`.
    """
    check_choice('average', average, AVERAGES)
    if epsilon < 0:
        raise InputError(f'epsilon: expected at least 0, got {epsilon}')
    pair = check_pair(reference, distorted, data_range=data_range)
    squares = error_planes(*pair, colour=colour, average=average)
    # over one plane XLA adds up ten times as fast without an axis of 1 left over
    axes = (-3, -2, -1) if average == 'image' else (-2, -1)
    errors = squares.mean(axes)
    return psnr_of_errors(errors[..., None] if average == 'image' else errors, epsilon=epsilon)


def psnr_y(reference, distorted, *, colour: str = 'bt601_studio', epsilon: float = 0.0,
           data_range: float = 1.0):
    """PSNR of the luma, as super-resolution reports it.

    Args:
        reference: `*b h w c`, floats in [0, data_range]; a grey image is taken as it is.
        distorted: The same shape.
        colour: 'bt601_studio' is the Y of MATLAB's rgb2ycbcr and of BasicSR, which spans 16 to 235
            while the peak stays 255: 1.3 dB more than with 'bt601', the Y of YIQ, which piq and
            pyiqa take. Other rules as in `ops.colour.to_grey`.
        epsilon: As in `psnr`.
        data_range: The value of white.

    Returns:
        Scores `*b` in dB.

    Raises:
        InputError: As `psnr` does.
    """
    return psnr(reference, distorted, colour=colour, epsilon=epsilon, data_range=data_range)


def error_planes(reference, distorted, *, colour: str = 'each', average: str = 'image'):
    """The squared errors whose means `psnr_of_errors` takes, `*b p h w`.

    Args:
        reference: `*b h w c` in [0, 1].
        distorted: The same shape.
        colour: As in `psnr`.
        average: As in `psnr`.
    """
    if average == 'image':
        return squared_errors(reference, distorted, colour=colour)
    difference = colour_planes(reference, rule=colour) - colour_planes(distorted, rule=colour)
    return difference * difference


def psnr_of_errors(errors, *, epsilon: float = 0.0):
    """The mean PSNR of mean squared errors.

    Args:
        errors: `*b p`, on the scale of [0, 1].
        epsilon: As in `psnr`.

    Returns:
        `*b` in dB.
    """
    errors = errors + epsilon
    differs = errors > 0
    decibels = jnp.log(jnp.where(differs, errors, 1.0)) * (-10 / np.log(10))
    return jnp.where(differs, decibels, jnp.inf).mean(-1)

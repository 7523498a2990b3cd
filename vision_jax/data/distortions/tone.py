"""Tone: KADID-10k types 16 to 18, 24 and 25."""

import functools

import jax.numpy as jnp
import numpy as np
import scipy.interpolate

from vision_jax.core.checks import check_image
from vision_jax.ops import colour, filters

CONTRAST_KNOTS = (0.0, 0.3, 0.5, 0.7, 1.0)  # KADIS-700k generator, curves.m
SHARPEN_SIGMA = 3.0  # KADIS-700k generator, imsharpenHi.m


def brighten(image, *, amount):
    """Raises the mid-tones by a curve on RGB and on the L of Lab (type 16).

    `(2 curve(RGB) + rgb(curve(L), a, b)) / 3`, the curve as in `mid_tone_curve` with
    `middle = 0.5 + amount / 2`.

    Args:
        image: `*b h w 3` in [0, 1].
        amount: At least 0.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    middle = 0.5 + amount / 2
    lab = colour.rgb_to_lab(image)
    lightness = 100 * mid_tone_curve(lab[..., :1] / 100, middle)
    by_lab = jnp.clip(
        colour.lab_to_rgb(jnp.concatenate([lightness, lab[..., 1:]], axis=-1)), 0.0, 1.0)
    return (2 * mid_tone_curve(image, middle) + by_lab) / 3


def darken(image, *, amount):
    """Lowers the mid-tones by the curve with `middle = 0.5 - amount / 2` (type 17).

    Args:
        image: `*b h w 3` in [0, 1].
        amount: At least 0.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        On RGB alone, as ARNIQA's port has it; the generator's own file was not at hand.
    """
    check_image('image', image, channels=3)
    return mid_tone_curve(image, 0.5 - amount / 2)


def mid_tone_curve(value, middle):
    """The parabola through (0, 0), (0.5, middle) and (1, 1), clipped to [0, 1].

    Args:
        value: An array of any shape, in [0, 1].
        middle: What 0.5 becomes.
    """
    square, linear = 2 - 4 * middle, 4 * middle - 1
    return jnp.clip((square * value + linear) * value, 0.0, 1.0)


def mean_shift(image, *, amount):
    """Adds a constant and clips (type 18).

    Args:
        image: `*b h w 3` in [0, 1].
        amount: In [-1, 1]; 0 is the identity.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    return jnp.clip(image + amount, 0.0, 1.0)


def contrast_change(image, *, amount):
    """Changes the contrast by an S-shaped curve (type 25).

    The cubic spline (not-a-knot) through (0, 0), (0.3, 0.25 - amount / 4), (0.5, 0.5),
    (0.7, 0.75 + amount / 4), (1, 1), clipped.

    Args:
        image: `*b h w 3` in [0, 1].
        amount: Above -0.2 raises the contrast, below lowers it; -0.2 is the identity.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        The generator's table holds amount 0, often taken for the identity; with its knots at 0.3
        and 0.7 it is a mild rise of the contrast.
    """
    check_image('image', image, channels=3)
    base, slope = _contrast_splines()  # [power, piece]
    coefficients = base + slope * amount
    piece = sum((image >= knot).astype(jnp.int32) for knot in CONTRAST_KNOTS[1:-1])
    offset = image - jnp.asarray(CONTRAST_KNOTS[:-1], image.dtype)[piece]
    value = jnp.zeros_like(image)
    for row in coefficients:
        value = value * offset + jnp.asarray(row, image.dtype)[piece]
    return jnp.clip(value, 0.0, 1.0)


@functools.cache
def _contrast_splines() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the curve at amount 0 and their change with amount (it is linear in it)."""
    at_zero = scipy.interpolate.CubicSpline(CONTRAST_KNOTS, (0.0, 0.25, 0.5, 0.75, 1.0))
    change = scipy.interpolate.CubicSpline(CONTRAST_KNOTS, (0.0, -0.25, 0.0, 0.25, 0.0))
    return at_zero.c, change.c


def sharpening(image, *, amount):
    """Unsharp masking of the L of Lab (type 24): `L + amount (L - blurred L)`.

    Args:
        image: `*b h w 3` in [0, 1].
        amount: At least 0; the blur has sigma 3 pixels and 13 taps, as MATLAB's imsharpen.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    lab = colour.rgb_to_lab(image)
    lightness = lab[..., :1]
    blurred = filters.gaussian_blur(lightness, SHARPEN_SIGMA, size=13, padding='edge')
    sharp = lightness + amount * (lightness - blurred)
    return jnp.clip(
        colour.lab_to_rgb(jnp.concatenate([sharp, lab[..., 1:]], axis=-1)), 0.0, 1.0)

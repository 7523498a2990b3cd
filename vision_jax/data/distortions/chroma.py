"""Colour: KADID-10k types 4, 5, 7 and 8."""

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_image
from vision_jax.data.distortions.blur import wide_gaussian_blur
from vision_jax.data.distortions.per_image import map_images
from vision_jax.ops import colour, filters

MASK_SIGMA = 4.0  # KADIS-700k generator, imcolorshift.m
MASK_FLOOR = 0.1
MASK_PERCENTILES = (1.0, 99.0)


def colour_diffusion(image, *, amount: float):
    """Blurs and amplifies the colour, and leaves the lightness (type 4).

    The a and b of Lab are blurred with sigma `1.5 amount + 2` and multiplied by `amount`.

    Args:
        image: `*b h w 3` in [0, 1].
        amount: Over 0.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    sigma = 1.5 * amount + 2
    lab = colour.rgb_to_lab(image)
    opponents = amount * wide_gaussian_blur(lab[..., 1:], sigma=sigma)
    diffused = jnp.concatenate([lab[..., :1], opponents], axis=-1)
    return jnp.clip(colour.lab_to_rgb(diffused), 0.0, 1.0)


def colour_shift(key: jax.Array, image, *, pixels):
    """Shifts the green channel along edges (type 5).

    `green' = m shift(green) + (1 - m) green`, m a smoothed map of the gradient of the grey image,
    stretched between its percentiles 1 and 99.

    Args:
        key: For the direction, down and to the right; one for each image.
        image: `*b h w 3` in [0, 1].
        pixels: Length of the shift, at least 0; rounded to whole pixels in each axis.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        The gradient is that of central differences; the generator's gradmag1 was not at hand.
    """
    check_image('image', image, channels=3)

    def shift_one(key, image):
        mask = edge_mask(image)
        direction = jax.random.uniform(key, (2,), image.dtype)
        steps = jnp.round(direction / jnp.linalg.norm(direction) * pixels).astype(jnp.int32)
        green = image[..., 1]
        for axis in (0, 1):
            index = jnp.clip(jnp.arange(green.shape[axis]) - steps[axis], 0)
            green = jnp.take(green, index, axis=axis)
        blended = mask * green + (1 - mask) * image[..., 1]
        return image.at[..., 1].set(blended)

    return map_images(shift_one, image, key=key)


def edge_mask(image):
    """Where `colour_shift` acts: near 1 along edges, near 0 on flat areas, `h w 3 -> h w`.

    Args:
        image: `h w 3` in [0, 1].

    Returns:
        In [0, 1].
    """
    grey = colour.rgb_to_grey(image, weights='matlab')[..., 0]
    magnitude = jnp.hypot(*jnp.gradient(grey))
    smooth = filters.gaussian_blur(magnitude[..., None], MASK_SIGMA, size=17, padding='edge')
    mask = _stretch(jnp.clip(_stretch(smooth[..., 0]), MASK_FLOOR, 1.0))
    low, high = jnp.percentile(mask, jnp.array(MASK_PERCENTILES))
    return _stretch(jnp.clip(mask, low, high))


def _stretch(values):
    """Maps the range of `values` to [0, 1]; a constant becomes 0."""
    low, high = values.min(), values.max()
    return jnp.where(high > low, (values - low) / jnp.where(high > low, high - low, 1.0), 0.0)


def hsv_saturation(image, *, factor):
    """Multiplies the saturation of HSV (type 7).

    Args:
        image: `*b h w 3` in [0, 1].
        factor: 1 is the identity, 0 is grey, negative gives the complementary hue.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    hsv = colour.rgb_to_hsv(image)
    scale = jnp.stack([jnp.ones_like(factor), factor, jnp.ones_like(factor)]).astype(image.dtype)
    scaled = hsv * scale.reshape((1,) * (image.ndim - 1) + (3,))
    return jnp.clip(colour.hsv_to_rgb(scaled), 0.0, 1.0)


def lab_saturation(image, *, factor):
    """Multiplies the a and b of Lab (type 8).

    Args:
        image: `*b h w 3` in [0, 1].
        factor: At least 0; 1 is the identity.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    lab = colour.rgb_to_lab(image)
    scaled = jnp.concatenate([lab[..., :1], lab[..., 1:] * factor], axis=-1)
    return jnp.clip(colour.lab_to_rgb(scaled), 0.0, 1.0)

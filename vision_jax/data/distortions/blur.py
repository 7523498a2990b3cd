"""Blurs: KADID-10k types 1 to 3. Borders repeat the edge, as the generator's imfilter does."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_image
from vision_jax.data.distortions.per_image import map_images
from vision_jax.ops import filters


def gaussian_blur(image, *, sigma: float):
    """Gaussian blur (type 1).

    Args:
        image: `*b h w 3` in [0, 1].
        sigma: Standard deviation in pixels, over 0; the kernel has 2 ceil(2 sigma) + 1 taps.

    Returns:
        `*b h w 3` in [0, 1].

    Notes:
        At sigma 0.1 the taps beside the centre are below 1e-21: the identity.
    """
    check_image('image', image, channels=3)
    size = 2 * math.ceil(2 * sigma) + 1
    blurred = filters.gaussian_blur(image, float(sigma), size=size, padding='edge')
    return jnp.clip(blurred, 0.0, 1.0)


def wide_gaussian_blur(image, *, sigma: float):
    """The blur of `gaussian_blur` as two matrix products: faster where the kernel is wide.

    Args:
        image: `*b h w c`, of any range.
        sigma: Standard deviation in pixels, over 0.

    Returns:
        `*b h w c`.
    """
    down, across = (
        jnp.asarray(_blur_matrix(size, sigma), image.dtype) for size in image.shape[-3:-1])
    return jnp.einsum('ph,...hwc,qw->...pqc', down, image, across,
                      precision=jax.lax.Precision.HIGHEST)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Row i holds the weights of all pixels in the blurred pixel i, the edges repeated."""
    reach = math.ceil(2 * sigma)
    taps = filters.gaussian_kernel(sigma, size=2 * reach + 1)
    matrix = np.zeros((size, size))
    rows, offsets = np.mgrid[:size, -reach:reach + 1]
    np.add.at(matrix, (rows, np.clip(rows + offsets, 0, size - 1)), taps)
    return matrix


def lens_blur(image, *, radius: float):
    """Blur by a uniform disk, the picture of a point out of focus (type 2).

    Args:
        image: `*b h w 3` in [0, 1].
        radius: Radius of the disk in pixels, over 0.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)
    return jnp.clip(filters.filter_image(image, disk_kernel(radius), padding='edge'), 0.0, 1.0)


def disk_kernel(radius: float) -> np.ndarray:
    """The share of each pixel that a disk about the central pixel's centre covers, its sum 1.

    Args:
        radius: In pixels, over 0.

    Returns:
        Kernel `n n` with n = 2 ceil(radius - 0.5) + 1, as MATLAB's fspecial('disk', radius).

    Notes:
        The covered area is integrated over 1000 columns a pixel; its error is below 1e-5.
    """
    reach = math.ceil(radius - 0.5)
    columns = (np.arange((2 * reach + 1) * 1000) + 0.5) / 1000 - reach - 0.5
    half_height = np.sqrt(np.maximum(radius ** 2 - columns ** 2, 0.0))
    lower = np.arange(-reach, reach + 1)[:, None] - 0.5
    covered = (np.clip(half_height, lower, lower + 1) - np.clip(-half_height, lower, lower + 1))
    area = covered.reshape(2 * reach + 1, 2 * reach + 1, 1000).mean(axis=-1)
    return area / area.sum()


def motion_blur(key: jax.Array, image, *, length: float):
    """Blur along a straight line in a random direction (type 3).

    Args:
        key: For the angle, uniform over the half circle, one for each image.
        image: `*b h w 3` in [0, 1].
        length: Length of the motion in pixels; 1 is the identity.

    Returns:
        `*b h w 3` in [0, 1].
    """
    check_image('image', image, channels=3)

    def blur_one(key, image):
        kernel = motion_kernel(jax.random.uniform(key, maxval=math.pi), length=length)
        return filters.filter_image(image, kernel.astype(image.dtype), padding='edge')

    return jnp.clip(map_images(blur_one, image, key=key), 0.0, 1.0)


def motion_kernel(angle, *, length: float):
    """Weights that fall linearly with the distance from a line segment, their sum 1.

    `w = max(1 - d, 0)`, d the distance from the segment of `length - 1` pixels about the centre.

    Args:
        angle: Of the motion in radians, counter-clockwise from the x axis; may be traced.
        length: In pixels, at least 1.

    Returns:
        Kernel `n n` with n = 2 ceil((length - 1) / 2) + 1; within it, as MATLAB's
        fspecial('motion', length, angle), which trims the rows and columns of zeros.
    """
    half = (max(length, 1.0) - 1) / 2
    reach = math.ceil(half)
    y, x = np.mgrid[reach:-reach - 1:-1, -reach:reach + 1].astype(np.float32)
    along = x * jnp.cos(angle) + y * jnp.sin(angle)
    across = y * jnp.cos(angle) - x * jnp.sin(angle)
    beyond_end = np.hypot(x, y) >= half
    distance = jnp.where(
        beyond_end, jnp.hypot(across, half - jnp.abs(along)), jnp.abs(across))
    weights = jnp.maximum(1.0 - distance, 0.0)
    return weights / weights.sum()

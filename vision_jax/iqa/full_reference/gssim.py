"""GSSIM: gradient-based structural similarity, contrast and structure being those of the edges."""

import jax.numpy as jnp

from vision_jax.core.checks import check_pair
from vision_jax.iqa.full_reference.ssim import similarities
from vision_jax.ops.colour import colour_planes
from vision_jax.ops.filters import image_gradients

WINDOW_SIZE = 11
# Our Sobel kernel has a sum of 1 a side, the paper's of 4.
SOBEL = 4.0


def gssim(reference, distorted, *, colour: str = 'matlab', window_size: int = WINDOW_SIZE,
          sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03, data_range: float = 1.0,
          return_map: bool = False):
    """GSSIM of pairs; 1 for equal images, and higher is better.

    `GSSIM = mean(l(x, y) cs(x', y'))` with SSIM's luminance factor of the images and its contrast
    and structure of their gradients, `x' = |Sobel across| + |Sobel down|`.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour, at least `window_size + 2`
            a side.
        distorted: The same shape.
        colour: A rule of `ops.colour.to_grey`, or 'each' for the mean over channels.
        window_size: Side of the Gaussian window in pixels.
        sigma: Of the window, in pixels.
        k1: Of the constant C1, over 0.
        k2: Of the constant C2, over 0.
        data_range: The value of white.
        return_map: Also return the local index.

    Returns:
        Scores `*b` in [-1, 1]; with `return_map` a pair of them and the map, `*b h' w'`, the mean
        over channels.

    Raises:
        InputError: On a wrong shape, dtype or range, or an image under the window.

    Source:
        Chen, Yang, Xie: Gradient-based structural similarity for image quality assessment, ICIP
        2006, Eqs. 1 to 7.

    Notes:
        The paper does not say what a gradient is at the border: only windows that need none count.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=window_size + 2)
    planes = [colour_planes(image, rule=colour) for image in pair]
    local = gssim_map(*planes, window_size=window_size, sigma=sigma, k1=k1, k2=k2)
    score = local.mean((-3, -2, -1))
    return (score, local.mean(-3)) if return_map else score


def gssim_map(first, second, *, window_size: int = WINDOW_SIZE, sigma: float = 1.5,
              k1: float = 0.01, k2: float = 0.03):
    """The local index of two planes, `*b h' w'`.

    Args:
        first: `*b h w` in [0, 1].
        second: The same shape.
        window_size: As in `gssim`.
        sigma: As in `gssim`.
        k1: As in `gssim`.
        k2: As in `gssim`.
    """
    options = dict(window_size=window_size, sigma=sigma, k1=k1, k2=k2)
    luminance, _ = similarities(*(plane[..., 1:-1, 1:-1] for plane in (first, second)), **options)
    # most of a gradient map is near 0, not near the middle of its range
    _, structure = similarities(*(sobel_magnitude(plane) for plane in (first, second)), centre=0.0,
                                **options)
    return luminance * structure


def sobel_magnitude(plane):
    """`|across| + |down|` by the Sobel kernels, without the border, which has none.

    Args:
        plane: `*b h w`.

    Returns:
        `*b h-2 w-2`.
    """
    across, down = image_gradients(plane[..., None], kernel='sobel', padding='valid')
    return SOBEL * (jnp.abs(across) + jnp.abs(down))[..., 0]

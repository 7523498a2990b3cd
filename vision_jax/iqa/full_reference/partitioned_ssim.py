"""3-SSIM, 4-SSIM and 4-G-SSIM: similarity averaged apart on edges, textures and smooth ground."""

import jax.numpy as jnp

from vision_jax.core.checks import check_pair
from vision_jax.iqa.full_reference.gssim import WINDOW_SIZE, gssim_map, sobel_magnitude
from vision_jax.iqa.full_reference.ssim import similarities
from vision_jax.ops.colour import colour_planes

# Li, Bovik 2009, section 3.1, of the greatest gradient of the reference.
EDGE_THRESHOLD, SMOOTH_THRESHOLD = 0.12, 0.06
THREE_WEIGHTS = (0.5, 0.25, 0.25)
FOUR_WEIGHTS = (0.25, 0.25, 0.25, 0.25)


def three_ssim(reference, distorted, *, weights: tuple[float, ...] = THREE_WEIGHTS,
               colour: str = 'matlab', data_range: float = 1.0):
    """3-SSIM of pairs; 1 for equal images, and higher is better.

    The weighted sum of the means of the SSIM map over edges (g_r > .12 m or g_d > .12 m), textures
    and smooth ground (g_r < .06 m and g_d <= .12 m), `g` the Sobel gradient magnitudes of reference
    and distorted image and `m` the greatest of the reference.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour, at least 13 a side.
        distorted: The same shape.
        weights: Of edges, textures and smooth ground.
        colour: As in `ssim`.
        data_range: The value of white.

    Returns:
        Scores `*b` in [-1, 1].

    Raises:
        InputError: On a wrong shape, dtype or range, an image under 13 pixels, an unknown rule.

    Source:
        Li, Bovik: Three-component weighted structural similarity index, SPIE 7242, 2009, section 3.

    Notes:
        The paper does not say what becomes of the weight of a region without pixels: here the
        others' are scaled to the sum of 1. Its gradients have no definition at the border, so the
        outermost pixel of the SSIM map is left out.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=WINDOW_SIZE + 2)
    planes = [colour_planes(image, rule=colour) for image in pair]
    kept, changed, smooth, texture = _regions(*planes)
    return _score(_ssim_map(*planes), (kept | changed, texture, smooth), weights)


def four_ssim(reference, distorted, *, weights: tuple[float, ...] = FOUR_WEIGHTS,
              colour: str = 'matlab', data_range: float = 1.0):
    """4-SSIM of pairs; 1 for equal images, and higher is better.

    As `three_ssim`, with preserved edges (both gradients over the threshold) and changed edges (one
    of them) apart.

    Args:
        reference: As in `three_ssim`.
        distorted: As there.
        weights: Of preserved edges, changed edges, textures and smooth ground.
        colour: As in `ssim`.
        data_range: The value of white.

    Returns:
        Scores `*b` in [-1, 1].

    Raises:
        InputError: As `three_ssim` does.

    Source:
        Li, Bovik: Content-partitioned structural similarity index for image quality assessment,
        Signal Processing: Image Communication 25(7), 2010, section 3.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=WINDOW_SIZE + 2)
    planes = [colour_planes(image, rule=colour) for image in pair]
    kept, changed, smooth, texture = _regions(*planes)
    return _score(_ssim_map(*planes), (kept, changed, texture, smooth), weights)


def four_gssim(reference, distorted, *, weights: tuple[float, ...] = FOUR_WEIGHTS,
               colour: str = 'matlab', data_range: float = 1.0):
    """4-G-SSIM of pairs: `four_ssim` of the map of `gssim`.

    Args:
        reference: As in `three_ssim`.
        distorted: As there.
        weights: As in `four_ssim`.
        colour: As in `ssim`.
        data_range: The value of white.

    Returns:
        Scores `*b` in [-1, 1].

    Raises:
        InputError: As `three_ssim` does.

    Source:
        As `four_ssim`.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=WINDOW_SIZE + 2)
    planes = [colour_planes(image, rule=colour) for image in pair]
    kept, changed, smooth, texture = _regions(*planes)
    return _score(gssim_map(*planes), (kept, changed, texture, smooth), weights)


def _ssim_map(first, second):
    luminance, structure = similarities(first, second)
    return (luminance * structure)[..., 1:-1, 1:-1]


def _regions(reference, distorted) -> tuple:
    """Preserved edges, changed edges, smooth ground and textures, each `*b h-12 w-12`."""
    gradients = [sobel_magnitude(plane) for plane in (reference, distorted)]
    greatest = gradients[0].max((-2, -1), keepdims=True)
    margin = slice(WINDOW_SIZE // 2, -(WINDOW_SIZE // 2))
    first, second = (gradient[..., margin, margin] for gradient in gradients)
    edge, smooth = EDGE_THRESHOLD * greatest, SMOOTH_THRESHOLD * greatest
    kept = (first > edge) & (second > edge)
    changed = (first > edge) ^ (second > edge)
    flat = (first < smooth) & (second <= edge)
    return kept, changed, flat, ~(kept | changed | flat)


def _score(local, regions: tuple, weights: tuple[float, ...]):
    """The weighted mean over the regions with pixels, or of all; then the mean over channels."""
    total = present = 0.0
    for region, weight in zip(regions, weights, strict=True):
        count = region.sum((-2, -1))
        mean = jnp.where(region, local, 0).sum((-2, -1)) / jnp.maximum(count, 1)
        total = total + weight * mean
        present = present + jnp.where(count > 0, jnp.asarray(weight, local.dtype), 0)
    weighted = jnp.where(present > 0, total / jnp.where(present > 0, present, 1), 0)
    return jnp.where(present > 0, weighted, local.mean((-2, -1))).mean(-1)

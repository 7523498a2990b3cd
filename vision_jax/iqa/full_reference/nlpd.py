"""NLPD: distance of images in a Laplacian pyramid with divisive normalisation."""

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import safe_sqrt
from vision_jax.ops.pyramids import BINOMIAL, correlate, laplacian_pyramid

# Laparra 2016, learnt on the McGill data set: constants, and weights of the neighbours of a
# coefficient as (row, column, weight) from the middle of a 5x5 kernel.
CONSTANTS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
NEIGHBOURS = (
    ((-1, 0, 0.1011), (0, -1, 0.1493), (0, 1, 0.1460), (0, 2, 0.0072), (1, 0, 0.1015)),
    ((-1, 0, 0.0757), (0, -1, 0.1986), (0, 1, 0.1846), (1, 0, 0.0837)),
    ((-1, 0, 0.0477), (0, -1, 0.2138), (0, 1, 0.2243), (1, 0, 0.0467)),
    ((0, -1, 0.2503), (0, 1, 0.2616)),
    ((0, -1, 0.2598), (0, 1, 0.2552)),
    ((0, -1, 0.2215), (0, 1, 0.0717)),
)
LEVELS = len(CONSTANTS)
CONVENTIONS = ('authors', 'plenoptic', 'pyiqa')


def nlpd(reference, distorted, *, convention: str = 'authors', colour: str = 'matlab',
         data_range: float = 1.0):
    """NLPD of pairs of images; 0 for equal ones, and lower is better.

    `D = mean over levels of sqrt(mean (y_1 - y_2)^2)`, `y = z / (sigma + sum_j w_j |z_j|)` of the
    coefficients z of a Laplacian pyramid of six levels.

    Args:
        reference: `*b h w c`, floats in [0, data_range], `c` 1 or 3, sides of at least 64.
        distorted: The same shape.
        convention: 'authors', the code of the paper. 'plenoptic': the weights are not flipped (the
            authors' conv2 flips them), and the pyramid is binomial with mirrored borders. 'pyiqa':
            the authors' without the farthest weight.
        colour: See `ops.colour.to_grey`; 'matlab_uint8' where the authors' code is given 8-bit
            pictures, 'bt601' as pyiqa.
        data_range: The value of white.

    Returns:
        Distances `*b`, at least 0.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Laparra, Balle, Berardino, Simoncelli: Perceptual image quality assessment using a
        normalized Laplacian pyramid, Human Vision and Electronic Imaging, 2016, Eqs. 1 to 6;
        constants and borders of the authors' NLP_dist.m.
    """
    pair = check_pair(reference, distorted, data_range=data_range, min_side=2 ** LEVELS)
    check_choice('convention', convention, CONVENTIONS)
    first, second = (
        _normalised(to_grey(image, rule=colour)[..., 0], convention) for image in pair)
    distances = [safe_sqrt(((a - b) ** 2).mean((-2, -1)))
                 for a, b in zip(first, second, strict=True)]
    return sum(distances) / LEVELS


def _normalised(plane, convention: str):
    options = {'taps': BINOMIAL, 'padding': 'reflect', 'fill': 'reflect'}
    levels = laplacian_pyramid(
        plane, levels=LEVELS, **(options if convention == 'plenoptic' else {}))
    return [z / (constant + correlate(jnp.abs(z), _kernel(i, convention), padding='zero'))
            for i, (z, constant) in enumerate(zip(levels, CONSTANTS, strict=True))]


def _kernel(level: int, convention: str) -> np.ndarray:
    """The weights as a kernel that correlates."""
    kernel = np.zeros((5, 5))
    for row, column, weight in NEIGHBOURS[level]:
        if convention != 'pyiqa' or abs(column) < 2:
            kernel[2 + row, 2 + column] = weight
    return kernel if convention == 'plenoptic' else kernel[::-1, ::-1]

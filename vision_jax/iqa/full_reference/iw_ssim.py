"""IW-SSIM: structural similarity weighted by local information content."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.ms_ssim import NEGATIVES, WEIGHTS, combine_scales
from vision_jax.iqa.full_reference.ssim import similarities
from vision_jax.ops.colour import to_grey
from vision_jax.ops.filters import box_blur, filter_separable
from vision_jax.ops.resize import resize_matrix

SCALES, MARGIN = 5, 4  # windows of 11 lie 5 inside, blocks of 3 lie 1 inside
# matlabPyrTools' 'binom5': its sum is the square root of 2, so each level is twice as bright.
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16 * np.sqrt(2)
# Wang, Li 2011, section II, and the authors' code, on the scale of 0 to 255: so squares of small
# variances do not underflow in float32. The filters' tails next to black do carry weight.
WHITE, NOISE_VARIANCE, FLAT_VARIANCE = 255.0, 0.4, 1e-15
FLAT_TRACE = 1e-9  # added to the covariance of blocks, which is 0 for a flat image


def iw_ssim(reference, distorted, *, colour: str = 'matlab', parent: bool = True,
            negative: str = 'relu', data_range: float = 1.0):
    """IW-SSIM of pairs; 1 for equal images, and higher is better.

    `prod_j (sum(w_j cs_j) / sum(w_j))^v_j` over the five levels of a Laplacian pyramid, with SSIM's
    contrast-structure `cs`, its luminance factor at the last level, and the weights `v` of MS-SSIM.
    `w = sum_k log2(1 + ((s_v^2 + (1 + g^2) s_n^2) u l_k + s_n^2 s_v^2) / s_n^4)` is the information
    that two noisy views of a block share: `g` and `s_v^2` predict the distorted block from the
    reference's, `l_k` are the eigenvalues of the covariance of blocks, `u` is a block's energy.

    Args:
        reference: `*b h w c`, floats in [0, data_range], grey or colour, at least 176 a side.
        distorted: The same shape.
        colour: A rule of `ops.colour.to_grey`.
        parent: Whether a block also holds the pixel of the next coarser level.
        negative: What becomes of a level whose mean is negative: 'relu' takes 0, 'real' the real
            part of the authors' complex power.
        data_range: The value of white.

    Returns:
        Scores `*b` in [0, 1].

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown rule.

    Source:
        Wang, Li: Information content weighting for perceptual image quality assessment, IEEE TIP
        20(5), 2011, Eqs. 8 to 31; the authors' iwssim.m.

    Notes:
        A level without any information (flat images) has equal weights, where the code divides 0
        by 0. The covariance of blocks is inverted with the machine's epsilon on its diagonal.
    """
    check_choice('negative', negative, NEGATIVES)
    pair = check_pair(reference, distorted, data_range=data_range, min_side=176)
    first, second = (_laplacian(to_grey(image, rule=colour)[..., 0]) for image in pair)
    means = []
    for level in range(SCALES):
        last = level == SCALES - 1
        # band-passes are centred on 0, the last level is an image 16 times as bright
        luminance, structure = similarities(first[level], second[level],
                                            centre=8.0 if last else 0.0)
        if last:
            means.append((luminance * structure).mean((-2, -1)))
            continue
        above = first[level + 1] if parent and level < SCALES - 2 else None
        weight = _information(first[level], second[level], above)
        weight = weight[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
        total = weight.sum((-2, -1))
        some = total > 0
        weighted = (structure * weight).sum((-2, -1)) / jnp.where(some, total, 1.0)
        means.append(jnp.where(some, weighted, structure.mean((-2, -1))))
    # MS-SSIM's weights have the sum 1.0001, which its authors leave so and these do not
    return combine_scales([mean[..., None] for mean in means], negative=negative,
                          weights=[weight / sum(WEIGHTS) for weight in WEIGHTS])


def _laplacian(plane) -> list:
    """The five levels of `*b h w`, four band-passes and the rest."""
    levels = []
    for _ in range(SCALES - 1):
        low = filter_separable(plane[..., None], BINOMIAL, BINOMIAL)[..., ::2, ::2, :]
        rows, columns = plane.shape[-2:]
        spread = [(0, 0, 0)] * (plane.ndim - 2) + [(0, 1 - rows % 2, 1), (0, 1 - columns % 2, 1),
                                                   (0, 0, 0)]
        spread = jax.lax.pad(low, jnp.zeros((), low.dtype), spread)  # zeros between the pixels
        levels.append(plane - filter_separable(spread, BINOMIAL, BINOMIAL)[..., 0])
        plane = low[..., 0]
    return [*levels, plane]


def _information(first, second, above):
    """The weight of every block of 3 by 3 inside `*b h w`."""
    first, second = WHITE * first, WHITE * second
    gain, rest = _prediction(first, second)
    blocks = [first[..., i:first.shape[-2] - 2 + i, j:first.shape[-1] - 2 + j]
              for i in range(3) for j in range(3)]
    if above is not None:
        blocks.append(_enlarge(WHITE * above, first.shape[-2:])[..., 1:-1, 1:-1])
    blocks = jnp.stack(blocks, -3)  # [*b, n, h - 2, w - 2]
    energy, eigenvalues = _energy(blocks.reshape((*blocks.shape[:-2], -1)))
    energy = energy.reshape(gain.shape)
    rest = rest / NOISE_VARIANCE
    slope = (rest + 1 + gain * gain) * energy
    eigenvalues = eigenvalues[..., None, None] / NOISE_VARIANCE  # [*b, n, 1, 1]
    return sum(jnp.log2(1 + slope * eigenvalues[..., k, :, :] + rest)
               for k in range(eigenvalues.shape[-3]))


def _prediction(first, second):
    """The gain that predicts the second band from the first in 3 by 3, and the variance left."""
    def mean(plane):
        return box_blur(plane[..., None], 3, padding='valid')[..., 0]

    first_mean, second_mean = mean(first), mean(second)
    covariance = mean(first * second) - first_mean * second_mean
    first_variance = jnp.maximum(mean(first * first) - first_mean ** 2, 0.0)
    second_variance = jnp.maximum(mean(second * second) - second_mean ** 2, 0.0)
    first_flat, second_flat = first_variance < FLAT_VARIANCE, second_variance < FLAT_VARIANCE
    flat = first_flat | second_flat
    gain = jnp.where(flat, 0.0, covariance / jnp.where(first_flat, 1.0, first_variance))
    rest = jnp.where(first_flat, second_variance, second_variance - gain * covariance)
    return gain, jnp.where(second_flat, 0.0, jnp.maximum(rest, 0.0))


def _energy(blocks):
    """`y C^-1 y' / n` of each block y, `*b n p -> *b p`, and the eigenvalues `*b n` of C."""
    count, pixels = blocks.shape[-2:]
    covariance = jnp.einsum('...np,...mp->...nm', blocks, blocks,
                            precision=jax.lax.Precision.HIGHEST) / pixels
    trace = jnp.trace(covariance, axis1=-2, axis2=-1)[..., None, None]  # [*b, 1, 1]
    floor = jnp.finfo(blocks.dtype).eps * trace + FLAT_TRACE
    diagonal = jnp.broadcast_to(jnp.eye(count, dtype=blocks.dtype), covariance.shape)
    inverse = jnp.linalg.inv(covariance + floor * diagonal)
    solved = jnp.einsum('...nm,...mp->...np', inverse, blocks, precision=jax.lax.Precision.HIGHEST)
    return (solved * blocks).sum(-2) / count, jnp.linalg.eigvalsh(covariance)


def _enlarge(plane, size: tuple[int, int]):
    """The authors' imenlarge2: `*b h/2 w/2` at twice the size, cut to `size`."""
    down, across = (jnp.asarray(_enlarging(old, new), plane.dtype)
                    for old, new in zip(plane.shape[-2:], size, strict=True))
    return jnp.einsum('ph,...hw,qw->...pq', down, plane, across,
                      precision=jax.lax.Precision.HIGHEST)


@functools.lru_cache(maxsize=64)
def _enlarging(old: int, new: int) -> np.ndarray:
    """Bilinear to 4 n - 3, one more at either end in a straight line, every second of these."""
    if old < 2:
        raise InputError(f'image: a level of {old} pixels is too small')
    inner = resize_matrix(old, 4 * old - 3)
    outer = np.concatenate([2 * inner[:1] - inner[1:2], inner, 2 * inner[-1:] - inner[-2:-1]])
    return outer[::2][:new]

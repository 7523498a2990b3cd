"""The Gaussian scale mixture of a subband: blocks of coefficients as `sqrt(s) u`, u of one law."""

import jax
import jax.numpy as jnp
import numpy as np

# One pixel of 262144 that differs by one of 255 levels has a variance of 2e-6 in a subband.
ROUNDING = 1e-9


def scale_mixture(band, *, block: int = 3, margin: int = 0):
    """Local variance `s = c^T C^-1 c / n` of the blocks c, and the eigenvalues of C.

    Args:
        band: `*b h w`, of an image on the scale of 0 to 255; both sides whole blocks.
        block: Side of a block; n is its square.
        margin: How many blocks along the borders have no variance computed. C is the covariance of
            all blocks at all positions, overlapping ones too.

    Returns:
        The variances `*b h/block-2margin w/block-2margin`, and the eigenvalues `*b n`, ascending,
        none below 0.

    Source:
        Wainwright, Simoncelli: Scale mixtures of Gaussians and the statistics of natural images,
        NIPS 1999; the estimates are those of Sheikh and Bovik, IEEE TIP 15(2), 2006, Eqs. 16, 17.

    Notes:
        Directions without variance count for nothing, so a singular C (stripes, flat images) has
        finite values and derivatives.
    """
    every = _components(band, block)  # [*b, n, h-block+1, w-block+1]
    mean = every.mean((-2, -1))
    flat = every.reshape(*every.shape[:-2], -1)
    covariance = jnp.einsum('...in,...jn->...ij', flat, flat, precision='highest') / (
        flat.shape[-1]) - mean[..., :, None] * mean[..., None, :]
    first = block * margin
    last_row, last_column = (side - first - block + 1 for side in band.shape[-2:])
    apart = every[..., first:last_row:block, first:last_column:block]
    white = jnp.einsum('...ij,...jhw->...ihw', _whitening(covariance), apart,
                       precision='highest')
    spectrum = jnp.maximum(jnp.linalg.eigvalsh(covariance), 0.0)
    return (white * white).mean(-3), spectrum


def _components(band, block: int):
    """Every block in the basis of the cosine transform, which changes neither s nor eigenvalues.

    There the small variances stand beside small numbers, and float32 keeps two digits more.
    """
    angle = np.pi / block * np.outer(np.arange(block), np.arange(block) + 0.5)
    basis = np.cos(angle) * np.sqrt(np.where(np.arange(block), 2, 1) / block)[:, None]
    for axis in (-2, -1):
        count = band.shape[axis] - block + 1
        shifted = [jax.lax.slice_in_dim(band, i, i + count, axis=axis) for i in range(block)]
        band = jnp.stack([sum(float(tap) * part for tap, part in zip(row, shifted, strict=True))
                          for row in basis], axis=-3)
    # [*b, down, across, h, w] after both axes: the first one's components are further left
    return band.reshape(*band.shape[:-4], block * block, *band.shape[-2:])


def whole_blocks(band, *, block: int = 3):
    """Cuts the last rows and columns that fill no block.

    Args:
        band: `*b h w`.
        block: Side of a block.

    Returns:
        `*b h' w'`, both sides multiples of `block`.
    """
    height, width = (side // block * block for side in band.shape[-2:])
    return band[..., :height, :width]


def _whitening(covariance):
    """W with `|W x|^2 = x^T C^-1 x`; directions without variance are mapped to 0.

    By Cholesky's factors of the correlations, a well-conditioned matrix with a derivative
    everywhere, which the eigenvectors of a repeated eigenvalue have not.
    """
    variance = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    epsilon = float(jnp.finfo(covariance.dtype).eps)
    alive = variance > jnp.maximum(epsilon * variance.max(-1, keepdims=True), ROUNDING)
    scale = jnp.where(alive, 1 / jnp.sqrt(jnp.where(alive, variance, 1.0)), 0.0)
    correlation = covariance * scale[..., :, None] * scale[..., None, :]
    identity = jnp.eye(variance.shape[-1], dtype=covariance.dtype).reshape(
        (1,) * (variance.ndim - 1) + 2 * variance.shape[-1:])
    guard = jnp.where(alive, 16 * epsilon, 1.0)[..., None] * identity
    lower = jnp.linalg.cholesky(correlation + guard)
    inverse = jax.lax.linalg.triangular_solve(
        lower, jnp.broadcast_to(identity, lower.shape), left_side=True, lower=True)
    return inverse * scale[..., None, :]

"""Losses of the order of predictions, over all pairs of a batch.

Each returns `[b, b]` losses and the `[b, b]` mask of pairs that count; the caller reduces, as
`sum(mask * losses) / max(sum(mask), 1)`. Element (i, j) and (j, i) are the same pair, so both hold
the same loss.
"""

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_rank, check_same_shape


def pairwise_hinge(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    mask: jax.Array | None = None,
    threshold: float = 1.0,
    use_margin: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """What a pair of predictions lacks of the order of its targets (CenseoQoE's L_rank).

    l_ij = max(0, -sign(y_i - y_j) (p_i - p_j) + m_ij), counted where 0 < |y_i - y_j| < threshold,
    with m_ij = |y_i - y_j| if `use_margin`, else 0

    Args:
        predictions: `[b]`.
        targets: `[b]`.
        mask: Real examples, `[b]` of 0 and 1; by default all.
        threshold: Pairs whose targets differ by this much or more are easy and left out; in the
            unit of the targets, > 0.
        use_margin: Whether the predictions must differ as much as the targets.

    Returns:
        Losses `[b, b]` and the mask `[b, b]` of the pairs that count.

    Raises:
        InputError: If an array is not `[b]`.

    Source: CenseoQoE (Tencent), `L1RankLoss`: default `hard_thred` 1.

    Notes:
        The authors add the loss to the mean absolute error with a weight, and reduce both inside.
    """
    target_gap, gap, valid = _pair_gaps(predictions, targets, mask)
    valid = valid * (jnp.abs(target_gap) < threshold).astype(valid.dtype)
    margin = jnp.abs(target_gap) if use_margin else 0.0
    return jax.nn.relu(margin - jnp.sign(target_gap) * gap), valid


def ranknet(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    mask: jax.Array | None = None,
    scale: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of the order of each pair.

    l_ij = log(1 + exp(-scale sign(y_i - y_j) (p_i - p_j))), counted where y_i != y_j

    Args:
        predictions: `[b]`.
        targets: `[b]`.
        mask: Real examples, `[b]` of 0 and 1; by default all.
        scale: Steepness, > 0.

    Returns:
        Losses `[b, b]` and the mask `[b, b]` of the pairs that count.

    Raises:
        InputError: If an array is not `[b]`.

    Source: Burges et al., Learning to rank using gradient descent, ICML 2005, equation 3 with
        target probability 0 or 1.

    Notes:
        The paper also gives ties a target, 1/2; here they do not count.
    """
    target_gap, gap, valid = _pair_gaps(predictions, targets, mask)
    return jax.nn.softplus(-scale * jnp.sign(target_gap) * gap), valid


def _pair_gaps(
    predictions: jax.Array, targets: jax.Array, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """y_i - y_j, p_i - p_j, and which pairs are real and not tied, each [b, b]."""
    check_rank('predictions', predictions, 1)
    check_same_shape('predictions', predictions, 'targets', targets)
    mask = jnp.ones_like(predictions) if mask is None else mask
    check_same_shape('predictions', predictions, 'mask', mask)
    target_gap = targets[:, None] - targets[None, :]  # [b, b]
    gap = predictions[:, None] - predictions[None, :]
    real = mask[:, None] * mask[None, :]
    return target_gap, gap, real * (target_gap != 0).astype(real.dtype)

"""Maximum likelihood with ambiguous contents: some are hard to rate for everybody."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice
from vision_jax.core.errors import InputError
from vision_jax.iqa.subjective.ratings import check_ratings, mean_of
from vision_jax.iqa.subjective.recovery import fixed_point, half_width

STEPS = ('scoring', 'newton')
REFRESH = {'scoring': 0.5, 'newton': 0.1}  # share of the new estimate in a turn; 0.1: sureal


class ContentRecovery(NamedTuple):
    """A maximum-likelihood estimate with contents; attributes as in `Recovery`, and those below.

    Attributes:
        score: `[stimuli]`.
        error: `[stimuli]`.
        low: `[stimuli]`.
        high: `[stimuli]`.
        bias: `[observers]`.
        inconsistency: `[observers]`.
        ambiguity: Deviation that a content adds to every rating of its stimuli, `[contents]`, in
            the order of the sorted content numbers.
        iterations: How many were needed.
    """

    score: jax.Array
    error: jax.Array
    low: jax.Array
    high: jax.Array
    bias: jax.Array
    inconsistency: jax.Array
    ambiguity: jax.Array
    iterations: jax.Array


def maximum_likelihood_with_content(ratings, content, *, step: str = 'scoring',
                                    level: float = 0.95, iterations: int = 10000,
                                    tolerance: float = 1e-8) -> ContentRecovery:
    """Quality, bias, inconsistency and ambiguity: `u_es = q_e + b_s + N(0, v_s^2 + a_c(e)^2)`.

    Each parameter in turn (b, v, a, q) goes towards its own maximum of the log-likelihood, from the
    MOS, no bias, and the deviations of the residuals. Only sums of variances enter the likelihood:
    a v or an a may well be 0. `maximum_likelihood` is the model without contents.

    Args:
        ratings: `[stimuli, observers]`, NaN where there is no rating.
        content: Integers `[stimuli]`: the content (source sequence) of each stimulus.
        step: How v and a go. 'scoring': half of Fisher's step for the variances. 'newton': a tenth
            of Newton's step for the deviations, as sureal does.
        level: Of the confidence interval, in (0, 1).
        iterations: At most.
        tolerance: As in `maximum_likelihood`.

    Returns:
        `ContentRecovery`.

    Raises:
        InputError: As `check_ratings` does, on another shape of `content`, where each stimulus has
            a content of its own, or on an unknown `step`.

    Source:
        Li, Bampis: Recover subjective quality scores from noisy measurements, DCC 2017,
        Eqs. 12 to 15.

    Notes:
        Newton's step goes down, not up, where the log-likelihood is not concave, and a deviation
        that it brings to 0 stays there: on simulated panels of 24 observers sureal 0.9.0 ends at
        inconsistencies of 5e14, or at a lower likelihood. So it is not the default.
    """
    ratings = check_ratings('ratings', ratings)
    check_choice('step', step, STEPS)
    index, contents = _contents(content, ratings.shape[0])
    limits = half_width(level), iterations, tolerance
    return _maximum_likelihood(ratings, index, limits, contents, step)


@functools.partial(jax.jit, static_argnames=('contents', 'step'))
def _maximum_likelihood(ratings: jax.Array, index: jax.Array, limits: tuple[float, int, float],
                        contents: int, step: str) -> ContentRecovery:
    quantile, iterations, tolerance = limits
    score = mean_of(ratings, 1)
    residual = ratings - score[:, None]
    noise = jnp.sqrt(mean_of(jnp.square(residual - mean_of(residual, 0)[None]), 0))
    ambiguity = _spread(residual, index, contents)
    state = score, jnp.zeros_like(noise), noise, ambiguity
    score, bias, noise, ambiguity, count = fixed_point(
        lambda state: _turn(ratings, index, contents, step, *state), state, iterations, tolerance)
    there = ~jnp.isnan(ratings)
    precision = jnp.where(there, 1 / _variance(noise, ambiguity[index]), 0).sum(1)
    mean, error = mean_of(bias, 0), 1 / jnp.sqrt(precision)
    score, half = score + mean, quantile * error
    return ContentRecovery(score, error, score - half, score + half, bias - mean, noise, ambiguity,
                           count)


def _contents(content, stimuli: int) -> tuple[np.ndarray, int]:
    """The number of each stimulus's content, from 0, and how many there are."""
    content = np.asarray(content)
    if content.shape != (stimuli,):
        raise InputError(f'content: expected one of each of {stimuli} stimuli, '
                         f'got shape {content.shape}')
    distinct, index = np.unique(content, return_inverse=True)
    if len(distinct) == stimuli > 1:
        raise InputError('content: each stimulus has one of its own; '
                         'maximum_likelihood is the model without contents')
    return index, len(distinct)


def _spread(residual: jax.Array, index: jax.Array, contents: int) -> jax.Array:
    """Deviation of all ratings of each content about their mean."""
    there = ~jnp.isnan(residual)

    def mean(values):
        sums = jax.ops.segment_sum(jnp.where(there, values, 0).sum(1), index, contents)
        return sums / jax.ops.segment_sum(there.sum(1), index, contents)

    return jnp.sqrt(mean(jnp.square(residual - mean(residual)[index][:, None])))


def _variance(noise: jax.Array, ambiguity: jax.Array) -> jax.Array:
    return jnp.square(noise)[None] + jnp.square(ambiguity)[:, None]


def _turn(ratings, index, contents: int, step: str, score, bias, noise, ambiguity):
    """One turn over the parameters."""
    there = ~jnp.isnan(ratings)
    share, toward = REFRESH[step], {'scoring': _scoring, 'newton': _newton}[step]

    def weighted(values, axis):
        weight = jnp.where(there, 1 / _variance(noise, ambiguity[index]), 0)
        return (weight * jnp.where(there, values, 0)).sum(axis) / weight.sum(axis)

    def over_stimuli(terms):
        return jnp.where(there, terms, 0).sum(0)

    def over_contents(terms):
        return jax.ops.segment_sum(jnp.where(there, terms, 0).sum(1), index, num_segments=contents)

    bias = (1 - share) * bias + share * weighted(ratings - score[:, None], 0)
    square = jnp.square(jnp.where(there, ratings - score[:, None] - bias[None], 0))
    rows = ambiguity[index][:, None]
    noise = toward(noise, noise[None], rows, square, over_stimuli, share)
    ambiguity = toward(ambiguity, rows, noise[None], square, over_contents, share)
    score = (1 - share) * score + share * weighted(ratings - bias[None], 1)
    return score, bias, noise, ambiguity


def _scoring(old, own, other, square, total, share):
    """`s += share * sum((r^2 - d) / d^2) / sum(1 / d^2)` for the variance s, held at 0 or above."""
    variance = jnp.square(own) + jnp.square(other)
    change = total((square - variance) / jnp.square(variance)) / total(1 / jnp.square(variance))
    return jnp.sqrt(jnp.maximum(jnp.square(old) + share * change, 0))


def _newton(old, own, other, square, total, share):
    """`v -= share * slope / curvature` of the log-likelihood, held at 0 or above."""
    own, other = jnp.broadcast_arrays(jnp.square(own), jnp.square(other))
    variance = own + other
    slope = jnp.sqrt(own) * (square - variance) / jnp.square(variance)
    curvature = (own - other) / jnp.square(variance) + square * (other - 3 * own) / variance ** 3
    return jnp.maximum(old - share * total(slope) / total(curvature), 0)

"""Quality freed of observers' habits: bias subtracted (P.913), or by maximum likelihood (P.910).

The model: a rating is the stimulus's quality, plus the observer's bias, plus noise of the
observer's own deviation, `u_es = q_e + b_s + v_s N(0, 1)`. Neither needs a rejection by hand: an
erratic observer has a large deviation and so a small weight.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from scipy import stats

from vision_jax.core.checks import check_choice
from vision_jax.core.errors import InputError
from vision_jax.iqa.subjective.ratings import Scores, check_ratings, mean_of, mos
from vision_jax.iqa.subjective.screening import Screening, keep, screen

ERRORS = ('stimulus', 'observer')
WEIGHT_FLOOR = 1e-8  # added to a variance: an observer without noise has a great, finite weight


class BiasRemoved(NamedTuple):
    """Scores by P.913, section 12.4.

    Attributes:
        scores: Of the observers that are left, without their bias.
        bias: `[observers]`.
        screening: On ratings without bias.
    """

    scores: Scores
    bias: jax.Array
    screening: Screening


class Recovery(NamedTuple):
    """A maximum-likelihood estimate.

    Attributes:
        score: Quality `[stimuli]`.
        error: Its standard error.
        low: Lower end of its confidence interval.
        high: Upper end.
        bias: `[observers]`, of mean 0.
        bias_error: Its standard error.
        inconsistency: Deviation of each observer's noise, `[observers]`.
        iterations: How many were needed.
    """

    score: jax.Array
    error: jax.Array
    low: jax.Array
    high: jax.Array
    bias: jax.Array
    bias_error: jax.Array
    inconsistency: jax.Array
    iterations: jax.Array


def observer_bias(ratings) -> jax.Array:
    """How much higher than the mean of all each observer rates: `mean_e (u_es - MOS_e)`.

    Args:
        ratings: `[stimuli, observers]`.

    Returns:
        `[observers]`.

    Source:
        ITU-T P.913, section 12.4.
    """
    ratings = check_ratings('ratings', ratings)
    return mean_of(ratings - mean_of(ratings, 1)[:, None], 0)


def bias_removed_mos(ratings, *, level: float = 0.95, interval: str = 'normal',
                     deviation: str = 'sample') -> BiasRemoved:
    """P.913, section 12.4: subtract each observer's bias, screen by BT.500, average.

    Args:
        ratings: `[stimuli, observers]`.
        level: As in `mos`.
        interval: As in `mos`.
        deviation: As in `screen`.

    Returns:
        `BiasRemoved`.

    Raises:
        InputError: As `mos` and `screen` do.

    Source:
        ITU-T P.913, section 12.4.
    """
    ratings = check_ratings('ratings', ratings, min_observers=3)
    bias = observer_bias(ratings)
    ratings = ratings - bias[None]
    screening = screen(ratings, deviation=deviation)
    left = keep(ratings, screening.rejected)
    return BiasRemoved(mos(left, level=level, interval=interval), bias, screening)


def maximum_likelihood(ratings, *, level: float = 0.95, error: str = 'stimulus',
                       iterations: int = 1000, tolerance: float = 1e-8) -> Recovery:
    """Quality, bias and inconsistency by alternating projection, P.910 annex E.

    From `q` the MOS and `b` the mean residual, in turn `v_s` the deviation of the residuals
    `u - q - b`, `q_e` the mean of `u - b` with weights `1 / v_s^2`, and `b_s` the mean of `u - q`,
    until `q` stays. Its fixed points are those of the likelihood.

    Args:
        ratings: `[stimuli, observers]`, NaN where there is no rating.
        level: Of the confidence interval, in (0, 1).
        error: 'stimulus' takes each stimulus's own residuals, `v_e / sqrt(N_e)` (P.910 annex E);
            'observer' the observers' deviations, `(sum_s 1 / v_s^2)^(-1/2)`.
        iterations: At most.
        tolerance: Ends where the change of `q` (Euclidean norm) is below this, or is rounding.

    Returns:
        `Recovery`.

    Raises:
        InputError: As `check_ratings` does, or on an unknown `error`.

    Source:
        ITU-T P.910 (2021), annex E; Li, Bampis, Krasula, Janowski, Katsavounidis: A simple model
        for subject behavior in subjective experiments, HVEI 2020.

    Notes:
        The likelihood has no upper bound: with few observers one of them may get all the weight,
        an inconsistency near 0 and every score its own. Compare `inconsistency` before you trust
        a panel of fewer than about ten.
    """
    ratings = check_ratings('ratings', ratings)
    check_choice('error', error, ERRORS)
    return _maximum_likelihood(ratings, half_width(level), iterations, tolerance, error)


@functools.partial(jax.jit, static_argnames='error')
def _maximum_likelihood(ratings: jax.Array, quantile: float, iterations: int, tolerance: float,
                        error: str) -> Recovery:
    score = mean_of(ratings, 1)
    bias = mean_of(ratings - score[:, None], 0)
    score, bias, count = fixed_point(
        lambda state: _project(ratings, *state), (score, bias), iterations, tolerance)
    residual = ratings - score[:, None] - bias[None]
    inconsistency = _deviation(residual, 0)
    there = ~jnp.isnan(ratings)
    spread = _stimulus_error(residual, inconsistency, error)
    mean = mean_of(bias, 0)
    score = score + mean
    half = quantile * spread
    return Recovery(score, spread, score - half, score + half, bias - mean,
                    inconsistency / jnp.sqrt(there.sum(0)), inconsistency, count)


def _project(ratings: jax.Array, score: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array]:
    residual = ratings - score[:, None] - bias[None]
    variance = jnp.square(_deviation(residual, 0))
    weight = jnp.where(jnp.isnan(ratings), 0, 1 / (variance + WEIGHT_FLOOR)[None])
    free = jnp.where(jnp.isnan(ratings), 0, ratings - bias[None])
    score = (weight * free).sum(1) / weight.sum(1)
    return score, mean_of(ratings - score[:, None], 0)


def fixed_point(step, state: tuple, iterations: int, tolerance: float) -> tuple:
    """Repeats `step` until the first entry of the state stays.

    Args:
        step: State to state; the first entry is the score `[stimuli]`.
        state: Where to begin.
        iterations: At most.
        tolerance: Of the Euclidean norm of a change.

    Returns:
        (the entries of the last state, the number of iterations).
    """
    def going(loop):
        (score, *_), change, number = loop
        rounding = 8 * jnp.finfo(score.dtype).eps * jnp.linalg.norm(score)
        return (number < iterations) & (change >= jnp.maximum(tolerance, rounding))

    def turn(loop):
        before, _, number = loop
        after = step(before)
        return after, jnp.linalg.norm(after[0] - before[0]), number + 1

    begin = state, jnp.asarray(jnp.inf, state[0].dtype), jnp.asarray(0)
    state, _, number = lax.while_loop(going, turn, begin)
    return (*state, number)


def half_width(level: float) -> float:
    """Normal quantile of a two-sided interval.

    Args:
        level: In (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f'level: expected a number in (0, 1), got {level}')
    return float(stats.norm.ppf((1 + level) / 2))


def _deviation(residual: jax.Array, axis: int) -> jax.Array:
    """Standard deviation about the mean, without NaN, divided by the count."""
    mean = jnp.expand_dims(mean_of(residual, axis), axis)
    return jnp.sqrt(mean_of(jnp.square(residual - mean), axis))


def _stimulus_error(residual: jax.Array, inconsistency: jax.Array, error: str) -> jax.Array:
    there = ~jnp.isnan(residual)
    if error == 'stimulus':
        return _deviation(residual, 1) / jnp.sqrt(there.sum(1))
    return 1 / jnp.sqrt(jnp.where(there, 1 / jnp.square(inconsistency)[None], 0).sum(1))

"""Mean opinion scores from raw ratings, with confidence intervals; differences; z-scores."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from vision_jax.core.checks import check_choice, is_concrete
from vision_jax.core.errors import InputError

INTERVALS = ('normal', 'student')
PAIRINGS = ('observer', 'mean')


class Scores(NamedTuple):
    """Scores of stimuli, each `[stimuli]`.

    Attributes:
        score: Mean over the observers.
        deviation: Standard deviation over the observers (divided by count - 1); NaN for one rating.
        error: Standard error of the mean, deviation / sqrt(count).
        low: Lower end of the confidence interval.
        high: Upper end.
        count: How many observers rated the stimulus.
    """

    score: jax.Array
    deviation: jax.Array
    error: jax.Array
    low: jax.Array
    high: jax.Array
    count: jax.Array


def check_ratings(name: str, ratings, *, min_observers: int = 2) -> jax.Array:
    """Checks a matrix of ratings and returns it as floats.

    Args:
        name: The argument's name, for the message.
        ratings: Numbers `[stimuli, observers]`, NaN where there is no rating.
        min_observers: The least number of columns.

    Raises:
        InputError: On a wrong rank, too few observers, and for a concrete array also on infinity
            and on a stimulus without any rating. An observer without any counts for nothing.
    """
    concrete = is_concrete(ratings)
    ratings = np.asarray(ratings) if concrete else ratings
    if ratings.ndim != 2:
        raise InputError(f'{name}: expected [stimuli, observers], got shape {ratings.shape}')
    if not ratings.shape[0] or ratings.shape[1] < min_observers:
        raise InputError(f'{name}: expected at least 1 stimulus (rows) and {min_observers} '
                         f'observers (columns), got shape {ratings.shape}')
    if concrete:
        _check_values(name, ratings)
    ratings = jnp.asarray(ratings)
    return ratings.astype(jnp.promote_types(ratings.dtype, jnp.float32))


def _check_values(name: str, ratings: np.ndarray) -> None:
    if ratings.dtype.kind not in 'fiub':
        raise InputError(f'{name}: expected numbers, got {ratings.dtype}')
    if np.isinf(ratings).any():
        raise InputError(f'{name}: holds infinity')
    empty = np.flatnonzero(np.isnan(ratings).all(1))
    if empty.size:
        raise InputError(f'{name}: stimulus {empty[0]} (counted from 0) has no rating '
                         f'({empty.size} such); leave it out')


def mean_of(values: jax.Array, axis: int) -> jax.Array:
    """Mean along an axis without NaN; 0 / 0 = NaN where there is nothing else.

    Args:
        values: Any array.
        axis: Which axis is averaged.
    """
    there = ~jnp.isnan(values)
    return jnp.where(there, values, 0).sum(axis) / there.sum(axis)


def mos(ratings, *, level: float = 0.95, interval: str = 'normal') -> Scores:
    """Mean opinion scores with confidence intervals.

    Formula: `MOS = mean(u)`, interval `MOS -+ q S / sqrt(N)`, `S^2 = sum (u - MOS)^2 / (N - 1)`.

    Args:
        ratings: `[stimuli, observers]`, NaN where there is no rating.
        level: Of the confidence interval, in (0, 1).
        interval: Quantile q: 'normal' (1.96 at 95 %, BT.500) or 'student' with N - 1 degrees of
            freedom (P.1401 for fewer than 30 observers).

    Returns:
        `Scores`.

    Raises:
        InputError: As `check_ratings` does, or on an unknown `interval`, or a `level` outside
            (0, 1).

    Source:
        ITU-R BT.500-11, annex 2, section 2.2; ITU-T P.1401, section 7.3.
    """
    ratings = check_ratings('ratings', ratings)
    check_choice('interval', interval, INTERVALS)
    if not 0 < level < 1:
        raise InputError(f'level: expected a number in (0, 1), got {level}')
    return _mos(ratings, _quantiles(interval, level, ratings.shape[1], ratings.dtype))


@jax.jit
def _mos(ratings: jax.Array, quantiles: jax.Array) -> Scores:
    there = ~jnp.isnan(ratings)
    count = there.sum(1)
    score = mean_of(ratings, 1)
    square = jnp.square(jnp.where(there, ratings - score[:, None], 0)).sum(1)
    deviation = jnp.where(count > 1, jnp.sqrt(square / jnp.maximum(count - 1, 1)), jnp.nan)
    error = deviation / jnp.sqrt(count)
    half = quantiles[count] * error
    return Scores(score, deviation, error, score - half, score + half, count)


def _quantiles(interval: str, level: float, observers: int, dtype) -> jax.Array:
    """Two-sided quantiles by the number of ratings, 0 to `observers`."""
    freedom = np.maximum(np.arange(observers + 1) - 1, 1)
    tail = (1 + level) / 2
    values = (np.full(observers + 1, stats.norm.ppf(tail)) if interval == 'normal'
              else stats.t.ppf(tail, freedom))
    return jnp.asarray(values.astype(dtype))


def dmos(ratings, reference, *, top: float = 5.0, by: str = 'observer', crush: bool = False,
         level: float = 0.95, interval: str = 'normal') -> Scores:
    """Differential scores against a hidden reference (ACR-HR): `u - u_reference + top`.

    Args:
        ratings: `[stimuli, observers]`, the hidden references among the stimuli.
        reference: Integers `[stimuli]`: the row that holds the hidden reference of each stimulus.
        top: What a stimulus scores that is rated as its reference is: 5 on a scale of 5 grades.
        by: 'observer' takes each observer's own rating of the reference (P.910); 'mean' takes the
            mean over observers, so that a missing rating of the reference costs nothing.
        crush: Bends differences over `top` towards it, `7 d / (2 + d)` for a `top` of 5 (P.910).
        level: As in `mos`.
        interval: As in `mos`.

    Returns:
        `Scores` of all rows; a reference's own is `top`.

    Raises:
        InputError: As `mos` does, or on another shape of `reference`, a row that there is not, or
            a stimulus that no observer rated together with its reference.

    Source:
        ITU-T P.910, section 6.2 (ACR-HR); 'mean': Li, Bampis, DCC 2017.
    """
    ratings = check_ratings('ratings', ratings)
    check_choice('by', by, PAIRINGS)
    reference = np.asarray(reference)
    if reference.shape != ratings.shape[:1] or reference.dtype.kind not in 'iu':
        raise InputError(f'reference: expected {ratings.shape[0]} row numbers, one a stimulus, '
                         f'got {reference.dtype} {reference.shape}')
    if reference.min() < 0 or reference.max() >= ratings.shape[0]:
        raise InputError(f'reference: expected rows 0 to {ratings.shape[0] - 1}, '
                         f'got {reference.min()} to {reference.max()}')
    hidden = ratings if by == 'observer' else jnp.broadcast_to(
        mean_of(ratings, 1)[:, None], ratings.shape)
    difference = ratings - hidden[reference] + top
    if crush:
        difference = jnp.where(difference > top, (top + 2) * difference / (2 + difference),
                               difference)
    return mos(difference, level=level, interval=interval)


def dscqs_differences(reference, assessed, *, low: float = 0.0, high: float = 100.0) -> jax.Array:
    """DSCQS: how much worse the assessed picture of a pair was marked than its reference.

    Formula: `100 (u_reference - u_assessed) / (high - low)`: 0 is no difference, 100 the whole
    scale. The observers do not know which of the two is the reference, so single differences may
    be negative. `mos` of it is the DMOS; `screen` takes it as it is.

    Args:
        reference: Marks of the reference of each pair `[pairs, observers]`, in [low, high].
        assessed: Marks of the picture under test, the same shape.
        low: The mark at the bottom of the scale.
        high: The mark at its top.

    Returns:
        Percent of the scale, `[pairs, observers]`; NaN where either mark is missing.

    Raises:
        InputError: As `check_ratings` does, on two shapes, or on marks outside the scale.

    Source:
        ITU-R BT.500-11, annex 1, section 5.5.
    """
    marks = {'reference': check_ratings('reference', reference),
             'assessed': check_ratings('assessed', assessed)}
    if marks['reference'].shape != marks['assessed'].shape:
        raise InputError('reference and assessed must have the same shape, '
                         f'got {marks["reference"].shape} and {marks["assessed"].shape}')
    if not high > low:
        raise InputError(f'high: expected a number over low={low:g}, got {high:g}')
    for name, values in marks.items():
        if is_concrete(values) and (np.nanmin(values) < low or np.nanmax(values) > high):
            raise InputError(f'{name}: expected marks in [{low:g}, {high:g}], got '
                             f'[{np.nanmin(values):g}, {np.nanmax(values):g}]')
    return 100 * (marks['reference'] - marks['assessed']) / (high - low)


def z_scores(ratings, *, rescale: bool = False) -> jax.Array:
    """Ratings of each observer, centred on that observer's mean, in units of the deviation.

    Formula: `z = (u - mean_observer) / S_observer`, S with count - 1; rescaled `100 (z + 3) / 6`.

    Args:
        ratings: `[stimuli, observers]`.
        rescale: Maps [-3, 3] to [0, 100], as LIVE does before it averages.

    Returns:
        `[stimuli, observers]`, 0 for an observer who always gave the same grade.

    Raises:
        InputError: As `check_ratings` does.

    Source:
        van Dijk, Martens, Watson, SPIE 2451, 1995; rescaling: Seshadrinathan et al., IEEE TIP
        19(6), 2010, section II-E.
    """
    z = _z_scores(check_ratings('ratings', ratings, min_observers=1))
    return 100 * (z + 3) / 6 if rescale else z


@jax.jit
def _z_scores(ratings: jax.Array) -> jax.Array:
    there = ~jnp.isnan(ratings)
    centred = ratings - mean_of(ratings, 0)[None]
    square = jnp.square(jnp.where(there, centred, 0)).sum(0)
    deviation = jnp.sqrt(square / jnp.maximum(there.sum(0) - 1, 1))
    return centred / jnp.where(deviation > 0, deviation, 1)[None]

"""ITU-R BT.500: which observers are left out, by their single ratings or by continuous traces."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice
from vision_jax.core.errors import InputError
from vision_jax.iqa.subjective.ratings import check_ratings, mean_of

NORMAL_KURTOSIS = (2.0, 4.0)  # between these the ratings of a stimulus count as normal
DEVIATIONS = ('sample', 'population')


class Screening(NamedTuple):
    """What was found of each observer, each `[observers]`.

    Attributes:
        rejected: Whether the observer is to be left out.
        above: Ratings far above the others' (P).
        below: Ratings far below (Q).
        share: (P + Q) / ratings of the observer.
        balance: |P - Q| / (P + Q): near 0 for an erratic observer, 1 for a strict or a mild one;
            NaN without such ratings.
    """

    rejected: jax.Array
    above: jax.Array
    below: jax.Array
    share: jax.Array
    balance: jax.Array


class ContinuousScreening(NamedTuple):
    """What was found of each observer of continuous traces.

    Attributes:
        rejected: `[observers]`, by either step.
        shift: Step 1: who votes far from the others all along.
        inversion: Step 2: who votes against the others, the mean of each trace being equalised.
    """

    rejected: jax.Array
    shift: Screening
    inversion: Screening


def keep(ratings, rejected) -> jax.Array:
    """Ratings with the columns of rejected observers set to NaN.

    Args:
        ratings: `[stimuli, observers]`.
        rejected: Booleans `[observers]`.
    """
    return jnp.where(jnp.asarray(rejected)[None, :], jnp.nan, ratings)


def screen(ratings, *, share: float = 0.05, balance: float = 0.3, deviation: str = 'sample'
           ) -> Screening:
    """Screening of observers by the kurtosis of the ratings of each stimulus.

    A rating is far from the others where `|u - mean| >= 2 S` if the kurtosis
    `b2 = m4 / m2^2` of the stimulus is in [2, 4], and `>= sqrt(20) S` else. An observer is rejected
    if `(P + Q) / N > share` and `|P - Q| / (P + Q) < balance`.

    Args:
        ratings: `[stimuli, observers]`; for DSCQS the differences.
        share: Of far ratings, over which an observer may be rejected.
        balance: Below which far ratings count as erratic.
        deviation: S divides by count - 1 ('sample', the Recommendation) or by the count
            ('population', sureal).

    Returns:
        `Screening`. One pass: the Recommendation does not repeat it. If all would be rejected,
        none is.

    Raises:
        InputError: As `check_ratings` does with at least 3 observers, or on an unknown `deviation`.

    Source:
        ITU-R BT.500-11, annex 2, section 2.3.1.

    Notes:
        A stimulus on which all agree has S = 0; by the letter each of its ratings is both far
        above and far below. Here none is. N is the number of ratings of the observer, which is the
        Recommendation's number of presentations unless some are missing. With fewer than 22
        observers no single rating can be sqrt(20) S from the mean: only stimuli of kurtosis 2 to 4
        then count.
    """
    check_choice('deviation', deviation, DEVIATIONS)
    return _screen(check_ratings('ratings', ratings, min_observers=3), share, balance, deviation)


@functools.partial(jax.jit, static_argnames='deviation')
def _screen(ratings: jax.Array, share: float, balance: float, deviation: str) -> Screening:
    above, below = _far(ratings, deviation)
    found = _shares(ratings, above, below)
    rejected = (found.share > share) & (found.balance < balance)
    return found._replace(rejected=_unless_all(rejected))


def screen_continuous(segments, configuration, *, shift: float = 0.2, share: float = 0.1,
                      balance: float = 0.3, deviation: str = 'sample') -> ContinuousScreening:
    """Screening of SSCQE observers, by the votes of each time window of each test configuration.

    Step 1 rejects strong shifts: `P / N > shift` or `Q / N > shift`, far ratings as in `screen`.
    Step 2, among the others, equalises the traces' means, `u - mean_(observer, configuration) +
    mean_(configuration)`, and rejects inversions as `screen` does.

    Args:
        segments: Votes `[segments, observers]`, one row a time window (`vote_segments`).
        configuration: Integers `[segments]`: the test configuration (condition and sequence) that
            each window is of.
        shift: Share of far ratings on one side (X of the Recommendation).
        share: Of far ratings in step 2 (Y).
        balance: Below which they count as inversions (Z).
        deviation: As in `screen`.

    Returns:
        `ContinuousScreening`.

    Raises:
        InputError: As `screen` does, or on another shape of `configuration`.

    Source:
        ITU-R BT.500-11, annex 2, section 2.3.2.
    """
    check_choice('deviation', deviation, DEVIATIONS)
    segments = check_ratings('segments', segments, min_observers=3)
    configuration = np.asarray(configuration)
    if configuration.shape != segments.shape[:1]:
        raise InputError(f'configuration: expected one of each of {segments.shape[0]} segments, '
                         f'got shape {configuration.shape}')
    distinct, index = np.unique(configuration, return_inverse=True)
    return _screen_continuous(segments, index, (shift, share, balance), len(distinct), deviation)


@functools.partial(jax.jit, static_argnames=('configurations', 'deviation'))
def _screen_continuous(segments: jax.Array, index: jax.Array, limits: tuple[float, float, float],
                       configurations: int, deviation: str) -> ContinuousScreening:
    shift, share, balance = limits
    first = _shares(segments, *_far(segments, deviation))
    count = (~jnp.isnan(segments)).sum(0)
    shifted = _unless_all(jnp.maximum(first.above, first.below) / jnp.maximum(count, 1) > shift)
    left = keep(segments, shifted)
    centred = left - _configuration_means(left, index, configurations, per_observer=True) + (
        _configuration_means(left, index, configurations, per_observer=False))
    second = _shares(centred, *_far(centred, deviation))
    inverted = (second.share > share) & (second.balance < balance)
    rejected = _unless_all(shifted | inverted)
    return ContinuousScreening(rejected, first._replace(rejected=shifted),
                               second._replace(rejected=inverted & ~shifted))


def _far(ratings: jax.Array, deviation: str) -> tuple[jax.Array, jax.Array]:
    """Which ratings are far above and far below the others of the stimulus."""
    there = ~jnp.isnan(ratings)
    count = there.sum(1)
    centred = jnp.where(there, ratings - mean_of(ratings, 1)[:, None], 0)
    second = jnp.square(centred).sum(1) / count
    fourth = jnp.square(jnp.square(centred)).sum(1) / count
    kurtosis = fourth / jnp.where(second > 0, jnp.square(second), 1)
    normal = (kurtosis >= NORMAL_KURTOSIS[0]) & (kurtosis <= NORMAL_KURTOSIS[1])
    scale = count / jnp.maximum(count - 1, 1) if deviation == 'sample' else 1.0
    limit = jnp.where(normal, 2.0, np.sqrt(20.0)) * jnp.sqrt(second * scale)
    varied = there & (second > 0)[:, None]
    return (varied & (centred >= limit[:, None])), (varied & (centred <= -limit[:, None]))


def _shares(ratings: jax.Array, above: jax.Array, below: jax.Array) -> Screening:
    above, below = above.sum(0), below.sum(0)
    count, far = (~jnp.isnan(ratings)).sum(0), above + below
    balance = jnp.where(far > 0, jnp.abs(above - below) / jnp.maximum(far, 1), jnp.nan)
    return Screening(jnp.zeros_like(far, bool), above, below, far / jnp.maximum(count, 1), balance)


def _unless_all(rejected: jax.Array) -> jax.Array:
    return rejected & ~rejected.all()


def _configuration_means(values: jax.Array, index: jax.Array, configurations: int, *,
                         per_observer: bool) -> jax.Array:
    """The mean of the windows of each configuration, back at each window."""
    there = ~jnp.isnan(values)
    columns = (jnp.where(there, values, 0), there.astype(values.dtype))
    if not per_observer:
        columns = tuple(column.sum(1, keepdims=True) for column in columns)
    total, count = (jax.ops.segment_sum(column, index, num_segments=configurations)
                    for column in columns)
    return (total / count)[index]

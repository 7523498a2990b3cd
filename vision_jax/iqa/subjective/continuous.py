"""SSCQE: from the movements of a slider to votes of time windows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.iqa.subjective.ratings import mean_of

RATE = 2.0  # samples a second: BT.500 records the slider twice a second


class Segments(NamedTuple):
    """Votes of time windows.

    Attributes:
        votes: `[stimuli * windows, observers]`, the windows of a stimulus one after the other.
        configuration: The stimulus of each row, `[stimuli * windows]`.
        start: Where the window begins in the stimulus, in seconds, `[stimuli * windows]`.
    """

    votes: jax.Array
    configuration: np.ndarray
    start: np.ndarray


def hold(times, votes, *, duration: float, rate: float = RATE) -> np.ndarray:
    """Samples a slider that was logged only when it moved: it stays where it was left.

    Args:
        times: Seconds of the movements `[n]`, ascending.
        votes: Where the slider was put, `[n]`.
        duration: Of the stimulus, in seconds.
        rate: Samples a second.

    Returns:
        `[floor(duration * rate)]`, the position at the times 0, 1 / rate, ...; NaN before the
        first movement.

    Raises:
        InputError: On two lengths, or times that are NaN or do not ascend.
    """
    times, votes = np.asarray(times, np.float64), np.asarray(votes, np.float64)
    if times.ndim != 1 or times.shape != votes.shape:
        raise InputError(f'times and votes: expected one shape [n], got {times.shape} and '
                         f'{votes.shape}')
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InputError('times: expected seconds in ascending order')
    clock = np.arange(int(duration * rate)) / rate
    last = np.searchsorted(times, clock, side='right') - 1
    return np.where(last >= 0, np.append(votes, np.nan)[last], np.nan)


def vote_segments(traces, *, rate: float = RATE, window: float = 10.0, delay: float = 0.0,
                  settle: float = 10.0) -> Segments:
    """Mean votes of time windows: reaction delay undone, the beginning discarded.

    Formula: the vote on `[t, t + window)` is the mean of the samples in
    `[t + delay, t + delay + window)`, `t = settle, settle + window, ...`, without NaN.

    Args:
        traces: Samples `[stimuli, observers, samples]`, NaN where nothing was recorded.
        rate: Samples a second.
        window: Seconds of a window (10 in BT.500's example).
        delay: Seconds that observers take to react, between the picture and the slider.
        settle: Seconds at the beginning of each stimulus that are discarded, while the slider
            is still where the stimulus before left it.

    Returns:
        `Segments`; a last window that is not full is left out.

    Raises:
        InputError: On a wrong rank, lengths that are no whole number of samples, or traces too
            short for one window.

    Source:
        ITU-R BT.500-11, annex 1, section 6.3, and annex 2, section 2.3.2. The Recommendation
        leaves delay and settling to the experimenter.
    """
    if jnp.ndim(traces) != 3:
        raise InputError(f'traces: expected [stimuli, observers, samples], '
                         f'got shape {jnp.shape(traces)}')
    each, skipped, late = (_samples(name, seconds, rate) for name, seconds in
                           (('window', window), ('settle', settle), ('delay', delay)))
    stimuli, observers, samples = jnp.shape(traces)
    count = (samples - skipped - late) // each if each else 0
    if count < 1:
        raise InputError(f'traces: {samples} samples are too short for a window of {each} after '
                         f'{skipped + late} discarded ones')
    first = skipped + late
    votes = jnp.asarray(traces)[:, :, first:first + count * each]
    votes = mean_of(votes.reshape(stimuli, observers, count, each), 3)
    votes = jnp.swapaxes(votes, 1, 2).reshape(stimuli * count, observers)
    start = settle + window * np.arange(count)
    return Segments(votes, np.repeat(np.arange(stimuli), count), np.tile(start, stimuli))


def _samples(name: str, seconds: float, rate: float) -> int:
    count = round(seconds * rate)
    if seconds < 0 or abs(count - seconds * rate) > 1e-6:
        raise InputError(f'{name}: expected a whole number of samples at {rate:g} a second, '
                         f'got {seconds:g} s')
    return count

"""How well predicted quality follows subjective quality: SROCC, KROCC, PLCC, RMSE, outliers.

A coefficient that is undefined is NaN, not 0: fewer than two examples, or all predictions or all
labels equal (its denominator is then 0). PLCC and RMSE after a logistic fit are NaN also with fewer
examples than the curve has parameters.
"""

import functools
from collections.abc import Callable

import numpy as np
from scipy.stats import kendalltau, rankdata

from vision_jax.core.errors import InputError
from vision_jax.evaluators.logistic import CURVES, fit_logistic


def srocc(prediction, label) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties having their mean rank.

    Args:
        prediction: `[n]`, on any scale.
        label: `[n]`.

    Returns:
        In [-1, 1]; NaN where either is constant.
    """
    x, y = _pair(prediction, label)
    return _pearson(rankdata(x), rankdata(y))


def krocc(prediction, label) -> float:
    """Kendall's tau-b: (concordant - discordant pairs) over their count, corrected for ties.

    Args:
        prediction: `[n]`, on any scale.
        label: `[n]`.

    Returns:
        In [-1, 1]; NaN where either is constant.
    """
    x, y = _pair(prediction, label)
    return float(kendalltau(x, y).statistic) if _varied(x, y) else np.nan


def plcc(prediction, label, *, fit: str = 'logistic5', start: str = 'standard') -> float:
    """Pearson's correlation of the labels with the predictions, after a fit.

    Args:
        prediction: Scores `[n]`.
        label: Subjective scores `[n]`.
        fit: 'logistic5', 'logistic4' (VQEG) or 'none'.
        start: See `logistic.fit_logistic`.

    Returns:
        The coefficient, in [-1, 1].
    """
    x, y = _pair(prediction, label)
    return _pearson(_fitted(x, y, fit, start), y)


def rmse(prediction, label, *, fit: str = 'logistic5', start: str = 'standard') -> float:
    """Root mean squared error in the labels' units, after a fit; arguments as in `plcc`.

    Args:
        prediction: `[n]`.
        label: `[n]`, in the units of the result.
        fit: As in `plcc`.
        start: As in `plcc`.
    """
    x, y = _pair(prediction, label)
    return float(np.sqrt(np.mean((_fitted(x, y, fit, start) - y) ** 2))) if x.size else np.nan


def outlier_ratio(prediction, label, deviation, *, count=None, fit: str = 'logistic5',
                  start: str = 'standard') -> float:
    """Share of images whose error after the fit is over twice the spread of their opinions.

    Formula: `mean(|fit(x) - y| > 2 s)`, and with `count` `2 s / sqrt(count)`.

    Args:
        prediction: `[n]`.
        label: `[n]`.
        deviation: Standard deviation s of each image's opinions, `[n]`, in units of the labels.
        count: How many opinions each image has, `[n]`: then the standard error is taken, as in
            VQEG phase II, and not the deviation, as in phase I.
        fit: As in `plcc`.
        start: As in `plcc`.

    Returns:
        In [0, 1]; NaN where the fit is undefined.

    Raises:
        InputError: On another shape, or a deviation or a count that is negative or NaN.

    Source:
        VQEG FR-TV phase I final report, 2000, metric 6; phase II, 2003, metric 6.
    """
    x, y = _pair(prediction, label)
    spread = np.asarray(deviation, np.float64)
    if count is not None:
        spread = spread / np.sqrt(np.asarray(count, np.float64))
    if spread.shape != y.shape or not (spread >= 0).all():
        raise InputError(f'deviation: expected [{y.size}] numbers of 0 or more, and counts over 0')
    error = np.abs(_fitted(x, y, fit, start) - y)
    return float(np.mean(error > 2 * spread)) if y.size and np.isfinite(error).all() else np.nan


def fitted(prediction, label, *, fit: str = 'logistic5', start: str = 'standard') -> np.ndarray:
    """The predictions on the labels' scale, `[n]`; NaN where the fit is undefined.

    Args:
        prediction: `[n]`.
        label: `[n]`.
        fit: As in `plcc`.
        start: As in `plcc`.
    """
    return _fitted(*_pair(prediction, label), fit, start)


def bootstrap_interval(statistic: Callable[[np.ndarray, np.ndarray], float], prediction, label, *,
                       cluster=None, samples: int = 1000, level: float = 0.95,
                       seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of pairs.

    Args:
        statistic: `(prediction [n], label [n]) -> float`; resamples where it is NaN are left out.
        prediction: Scores `[n]`.
        label: Subjective scores `[n]`.
        cluster: Ids `[n]` of what is resampled as a whole, such as the photograph: scores of one
            photograph are not independent. `None` resamples examples.
        samples: How many resamples.
        level: Share of the resamples inside the interval.
        seed: Of the resampling.

    Returns:
        (low, high); NaN if no resample has the statistic.

    Source:
        Efron, Tibshirani: An Introduction to the Bootstrap, 1993, section 13.3.
    """
    x, y = _pair(prediction, label)
    ids = np.arange(x.size) if cluster is None else np.asarray(cluster)
    members = [np.flatnonzero(ids == one) for one in np.unique(ids)]
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(samples):
        drawn = generator.integers(len(members), size=len(members))
        index = np.concatenate([members[i] for i in drawn])
        values.append(statistic(x[index], y[index]))
    values = np.array(values)[~np.isnan(values)]
    if not values.size:
        return np.nan, np.nan
    tail = (1 - level) / 2
    return float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))


def evaluate(outputs: dict[str, np.ndarray], *, prediction: str = 'quality',
             label: str = 'label/quality', group: str | None = None, mask: str = 'mask',
             fit: str = 'logistic5', start: str = 'standard', bootstrap: int = 0,
             cluster: str | None = None, level: float = 0.95, seed: int = 0) -> dict[str, float]:
    """Correlations of a model's outputs with the labels, pooled and by group.

    Args:
        outputs: Arrays with one shape, `[n]`, or `[t, q]` from episodes: each of the t is then a
            group.
        prediction: The field of predictions.
        label: The field of labels; the evaluation names a batch's `quality` `label/quality`.
        group: The field of group ids, such as the distortion type; `None` makes no groups of `[n]`.
        mask: The field that is 0 for padding, if `outputs` has it. What it masks may be NaN.
        fit: As in `plcc`.
        start: As in `plcc`.
        bootstrap: How many resamples the intervals of the pooled figures take; 0 gives none. The
            logistic is fitted once, to all examples.
        cluster: The field of what is resampled as a whole; see `bootstrap_interval`.
        level: Share inside the interval.
        seed: Of the resampling.

    Returns:
        `srocc`, `krocc`, `plcc`, `rmse` and `examples` pooled; with `bootstrap` each with `_low`
        and `_high`. With groups `srocc_group_mean` (over the groups where it is defined), `groups`
        and `groups_undefined`; with `group` also `srocc_group/<id>`.

    Raises:
        InputError: On a missing field, shapes that differ, NaN or infinity, or no example left.
    """
    fields = [prediction, label] + [name for name in (group, cluster) if name is not None]
    columns, episode = _columns(outputs, fields, mask)
    x, y = columns[prediction].astype(np.float64), columns[label].astype(np.float64)
    for name, values in ((prediction, x), (label, y)):
        if not np.isfinite(values).all():
            raise InputError(f'{name}: {np.sum(~np.isfinite(values))} of {values.size} values are '
                             'NaN or infinite')
    fitted = _fitted(x, y, fit, start)
    unfitted = functools.partial(plcc, fit='none'), functools.partial(rmse, fit='none')
    statistics = {'srocc': (srocc, x), 'krocc': (krocc, x), 'plcc': (unfitted[0], fitted),
                  'rmse': (unfitted[1], fitted)}
    result = {'examples': float(x.size)}
    for name, (statistic, scores) in statistics.items():
        result[name] = statistic(scores, y)
        if bootstrap:
            result[f'{name}_low'], result[f'{name}_high'] = bootstrap_interval(
                statistic, scores, y, cluster=columns.get(cluster), samples=bootstrap,
                level=level, seed=seed)
    ids = episode if group is None else columns[group]
    if ids is not None:
        result.update(_by_group(x, y, ids, named=group is not None))
    return result


def _by_group(x, y, ids, *, named: bool) -> dict[str, float]:
    scores = {one: srocc(x[ids == one], y[ids == one]) for one in np.unique(ids)}
    defined = [score for score in scores.values() if not np.isnan(score)]
    result = {
        'srocc_group_mean': float(np.mean(defined)) if defined else np.nan,
        'groups': float(len(scores)),
        'groups_undefined': float(len(scores) - len(defined)),
    }
    if named:
        result.update({f'srocc_group/{one}': score for one, score in scores.items()})
    return result


def _columns(outputs, fields: list[str], mask: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The fields without padding, flat, and the row number in `[t, q]`, or `None` for `[n]`."""
    for name in fields:
        if name not in outputs:
            raise InputError(f"outputs: no field '{name}'; there are {', '.join(sorted(outputs))}")
    shape = np.shape(outputs[fields[0]])
    if len(shape) not in (1, 2):
        raise InputError(f'{fields[0]}: expected shape [n] or [t, q], got {shape}')
    names = fields + [mask] * (mask in outputs)
    for name in names:
        if np.shape(outputs[name]) != shape:
            raise InputError(f'{name}: expected the shape {shape} of {fields[0]}, '
                             f'got {np.shape(outputs[name])}')
    keep = np.asarray(outputs[mask]) > 0 if mask in outputs else np.ones(shape, bool)
    if not keep.any():
        raise InputError(f'{fields[0]}: no examples left to evaluate')
    columns = {name: np.asarray(outputs[name])[keep] for name in fields}
    if len(shape) == 1:
        return columns, None
    return columns, np.broadcast_to(np.arange(shape[0])[:, None], shape)[keep]


def _fitted(x: np.ndarray, y: np.ndarray, fit: str, start: str) -> np.ndarray:
    if fit == 'none':
        return x
    if not _varied(x, y) or (fit in CURVES and x.size < CURVES[fit][1]):
        return np.full_like(x, np.nan)
    return fit_logistic(x, y, curve=fit, start=start)[0]


def _pair(prediction, label) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(prediction, np.float64), np.asarray(label, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError('prediction and label: expected one shape [n], '
                         f'got {x.shape} and {y.shape}')
    return x, y


def _varied(x: np.ndarray, y: np.ndarray) -> bool:
    return x.size > 1 and np.ptp(x) > 0 and np.ptp(y) > 0


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if not _varied(x, y):
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(np.dot(x, y) / np.sqrt(np.dot(x, x) * np.dot(y, y)), -1.0, 1.0))

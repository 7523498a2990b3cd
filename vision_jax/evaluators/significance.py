"""Whether one metric is better than another: tests of correlations and of residual variances.

Two metrics are scored on the same images, so their correlations with the labels depend on each
other: `williams` and `steiger` take that into account, `fisher` is for two different sets of
images. `variance_ratio` is the test of VQEG, and `pitman_morgan` is the same question for residuals
of the same images. All p-values are two-sided.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from vision_jax.core.errors import InputError
from vision_jax.evaluators.correlation import fitted, plcc, srocc

NORMAL_KURTOSIS = (2.0, 4.0)  # residuals count as normal between these: Sheikh et al. 2006


class Outcome(NamedTuple):
    """Outcome of a test.

    Attributes:
        statistic: Above 0 (for a ratio of variances above 1) if the first value is greater.
        p_value: Two-sided.
        freedom: Degrees of freedom of the statistic; none for a z.
    """

    statistic: float
    p_value: float
    freedom: tuple[int, ...] = ()


class Comparison(NamedTuple):
    """Two metrics on the same images, with p-values of their difference.

    Attributes:
        srocc: Difference of the SROCC (first less second), metrics turned so that higher is better.
        srocc_p: Of `steiger` on the rank correlations.
        plcc: Difference of the PLCC after the fit.
        plcc_p: Of `williams`.
        f: Ratio of the residual variances, second over first: above 1 if the first is better.
        f_p: Of `variance_ratio`.
        paired_p: Of `pitman_morgan`.
        normal: Whether both residuals have a kurtosis of 2 to 4, without which `f_p` is a guess.
    """

    srocc: float
    srocc_p: float
    plcc: float
    plcc_p: float
    f: float
    f_p: float
    paired_p: float
    normal: bool


def williams(first: float, second: float, between: float, n: int) -> Outcome:
    """Williams's t: correlations of two metrics with one label, on the same images.

    Formula: `t = (r1 - r2) sqrt((n - 1) (1 + r12) / (2 |R| (n - 1) / (n - 3) + m^2 (1 - r12)^3))`,
    `|R| = 1 - r1^2 - r2^2 - r12^2 + 2 r1 r2 r12`, `m = (r1 + r2) / 2`, `n - 3` degrees of freedom.

    Args:
        first: Correlation of the first metric with the label, r1.
        second: Of the second, r2.
        between: Of the two metrics with each other, r12.
        n: How many images.

    Returns:
        `Outcome`.

    Raises:
        InputError: On fewer than 4 images, or correlations that cannot be.

    Source:
        Steiger: Tests for comparing elements of a correlation matrix, Psychological Bulletin
        87(2), 1980, Eq. 7; Williams, J. R. Stat. Soc. B 21, 1959.
    """
    determinant = _determinant(first, second, between, n)
    mean = (first + second) / 2
    scale = (n - 1) * (1 + between) / (
        2 * determinant * (n - 1) / (n - 3) + mean ** 2 * (1 - between) ** 3)
    statistic = float((first - second) * np.sqrt(scale))
    return Outcome(statistic, float(2 * stats.t.sf(abs(statistic), n - 3)), (n - 3,))


def steiger(first: float, second: float, between: float, n: int) -> Outcome:
    """Steiger's z: as `williams`, by Fisher's transform and the pooled correlation.

    Formula: `z = (atanh r1 - atanh r2) sqrt((n - 3) / (2 - 2 s))`,
    `s = (r12 (1 - 2 m^2) - m^2 (1 - 2 m^2 - r12^2) / 2) / (1 - m^2)^2`, `m = (r1 + r2) / 2`.

    Args:
        first: As in `williams`.
        second: As in `williams`.
        between: As in `williams`.
        n: As in `williams`.

    Returns:
        `Outcome`.

    Raises:
        InputError: As `williams` does, and on correlations of 1.

    Source:
        Steiger 1980 (see `williams`), Eq. 14 with pooled correlations.
    """
    _determinant(first, second, between, n)
    if first == second:
        return Outcome(0.0, 1.0)
    mean = ((first + second) / 2) ** 2
    covariance = between * (1 - 2 * mean) - mean * (1 - 2 * mean - between ** 2) / 2
    spread = 2 - 2 * covariance / (1 - mean) ** 2
    return _normal((_atanh('first', first) - _atanh('second', second)) * np.sqrt((n - 3) / spread))


def fisher(first: float, n_first: int, second: float, n_second: int) -> Outcome:
    """Fisher's z: correlations measured on two different sets of images.

    Formula: `z = (atanh r1 - atanh r2) / sqrt(1 / (n1 - 3) + 1 / (n2 - 3))`.

    Args:
        first: The first correlation.
        n_first: On how many images.
        second: The second correlation.
        n_second: On how many images.

    Returns:
        `Outcome`.

    Raises:
        InputError: On fewer than 4 images, or a correlation not inside (-1, 1).

    Source:
        Fisher: Statistical methods for research workers, 1925, section 35; ITU-T P.1401, 7.6.
    """
    if min(n_first, n_second) < 4:
        raise InputError(f'n: expected at least 4 images, got {min(n_first, n_second)}')
    difference = _atanh('first', first) - _atanh('second', second)
    return _normal(difference / np.sqrt(1 / (n_first - 3) + 1 / (n_second - 3)))


def variance_ratio(first, second, *, parameters: int = 1) -> Outcome:
    """F-test on the variances of two metrics' residuals, as VQEG compares models.

    Formula: `F = s1^2 / s2^2`, `s^2 = sum (e - mean e)^2 / (n - parameters)`.

    Args:
        first: Residuals of the first metric after its fit, `[n]`.
        second: Of the second, `[m]`.
        parameters: What is taken from n for the degrees of freedom: 1 in VQEG and Sheikh et al.,
            5 to count those of the logistic.

    Returns:
        `Outcome`. It presumes normal residuals: look at `kurtosis`.

    Raises:
        InputError: On other than one axis, or too few residuals.

    Source:
        VQEG FR-TV phase II final report, 2003, section 6; Sheikh, Sabir, Bovik, IEEE TIP 15(11),
        2006, section III-D.
    """
    variances, freedom = [], []
    for name, residual in (('first', first), ('second', second)):
        residual = _vector(name, residual, parameters + 1)
        freedom.append(residual.size - parameters)
        variances.append(np.sum((residual - residual.mean()) ** 2) / freedom[-1])
    if not all(variances):
        raise InputError('first and second: residuals that are all equal have no variance')
    statistic = variances[0] / variances[1]
    tail = min(stats.f.sf(statistic, *freedom), stats.f.cdf(statistic, *freedom))
    return Outcome(float(statistic), float(min(1.0, 2 * tail)), tuple(freedom))


def pitman_morgan(first, second) -> Outcome:
    """Pitman-Morgan test: whether two residuals of the same images differ in variance.

    Formula: `t = r sqrt((n - 2) / (1 - r^2))`, r the correlation of `e1 + e2` with `e1 - e2`.

    Args:
        first: Residuals of the first metric, `[n]`.
        second: Of the second, on the same images.

    Returns:
        `Outcome`.

    Raises:
        InputError: On two lengths, or fewer than 3 images.

    Source:
        Pitman: A note on normal correlation, Biometrika 31, 1939.
    """
    first, second = _vector('first', first, 3), _vector('second', second, 3)
    if first.size != second.size:
        raise InputError(f'first and second: expected one length, got {first.size} and '
                         f'{second.size}')
    r = plcc(first + second, first - second, fit='none')
    if np.isnan(r):
        return Outcome(0.0, 1.0, (first.size - 2,))
    statistic = float(r * np.sqrt((first.size - 2) / max(1 - r ** 2, 1e-300)))
    tail = float(2 * stats.t.sf(abs(statistic), first.size - 2))
    return Outcome(statistic, tail, (first.size - 2,))


def kurtosis(residual) -> float:
    """`m4 / m2^2`, 3 for a normal distribution.

    Args:
        residual: `[n]`.
    """
    return float(stats.kurtosis(_vector('residual', residual, 2), fisher=False))


def compare(predictions: Mapping[str, np.ndarray], label, *, fit: str = 'logistic5'
            ) -> dict[tuple[str, str], Comparison]:
    """All pairs of metrics on one set of images.

    Args:
        predictions: Metric to scores `[n]`; all turned so that they rise with the label.
        label: Subjective scores `[n]`.
        fit: As in `correlation.plcc`.

    Returns:
        A `Comparison` of each pair (first, second), in the order of `predictions`.

    Raises:
        InputError: On shapes that differ or too few images.
    """
    names, label = list(predictions), np.asarray(label, np.float64)
    fits = {name: fitted(predictions[name], label, fit=fit) for name in names}
    return {(a, b): _compare(*(np.asarray(predictions[name], np.float64) for name in (a, b)),
                             fits[a], fits[b], label)
            for i, a in enumerate(names) for b in names[i + 1:]}


def _compare(first, second, fit_first, fit_second, label) -> Comparison:
    n = label.size
    ranks = srocc(first, label), srocc(second, label), srocc(first, second)
    values = (plcc(fit_first, label, fit='none'), plcc(fit_second, label, fit='none'),
              plcc(fit_first, fit_second, fit='none'))
    residuals = fit_first - label, fit_second - label
    nan = Outcome(np.nan, np.nan)
    defined = np.isfinite([*ranks, *values]).all() and n > 3
    rank_test = steiger(*ranks, n) if defined and max(map(abs, ranks[:2])) < 1 else nan
    value_test = williams(*values, n) if defined else nan
    spread = variance_ratio(residuals[1], residuals[0]) if defined else nan
    paired = pitman_morgan(*residuals) if defined else nan
    low, high = NORMAL_KURTOSIS
    return Comparison(
        ranks[0] - ranks[1], rank_test.p_value, values[0] - values[1], value_test.p_value,
        spread.statistic, spread.p_value, paired.p_value,
        defined and all(low <= kurtosis(residual) <= high for residual in residuals))


def _determinant(first: float, second: float, between: float, n: int) -> float:
    """Of the correlation matrix, after checks."""
    if n < 4:
        raise InputError(f'n: expected at least 4 images, got {n}')
    determinant = (1 - first ** 2 - second ** 2 - between ** 2
                   + 2 * first * second * between)
    if max(abs(first), abs(second), abs(between)) > 1 or determinant < -1e-9:
        raise InputError(f'first={first:g}, second={second:g} and between={between:g} are no '
                         'correlations of three columns')
    return max(determinant, 0.0)


def _atanh(name: str, r: float) -> float:
    if not abs(r) < 1:
        raise InputError(f'{name}: expected a correlation in (-1, 1), got {r:g}')
    return float(np.arctanh(r))


def _normal(z: float) -> Outcome:
    return Outcome(float(z), float(2 * stats.norm.sf(abs(z))))


def _vector(name: str, values, least: int) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size < least:
        raise InputError(f'{name}: expected [n] with n at least {least}, got shape {values.shape}')
    return values

"""The monotone curve that VQEG fits from predictions to subjective scores before PLCC and RMSE."""

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from vision_jax.core.errors import InputError, nearest


def logistic4(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`(b1 - b2) / (1 + exp(-(x - b3) / |b4|)) + b2`: VQEG FR-TV phase II, 2003.

    Args:
        x: Predictions `[n]`.
        b: Four parameters.
    """
    return (b[0] - b[1]) * expit((x - b[2]) / max(abs(b[3]), 1e-12)) + b[1]


def logistic5(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5`: Sheikh, Sabir, Bovik 2006, Eq. 7.

    Args:
        x: Predictions `[n]`.
        b: Five parameters.
    """
    return b[0] * (0.5 - expit(-b[1] * (x - b[2]))) + b[3] * x + b[4]


CURVES = {'logistic4': (logistic4, 4), 'logistic5': (logistic5, 5)}

# Where published scripts start their fit; their optimisers stop at different minima.
STARTS = {
    'logistic4': {
        'pyiqa': lambda x, y: [y.max(), y.min(), x.mean(), x.std() / 4],
        'bvqa': lambda x, y: [y.max(), y.min(), x.mean(), 0.5],
    },
    'logistic5': {
        'polyu': lambda x, y: [y.max(), y.min(), x.mean(), 0.1, 40.0],
        'dbcnn': lambda x, y: [10.0, 0.0, y.mean(), 0.1, 0.1],
    },
}
# Slopes that 'standard' starts from, on data of mean 0 and deviation 1.
STANDARD_SLOPES = (1.0, 4.0, 16.0)


def fit_logistic(prediction, label, *, curve: str = 'logistic5', start: str = 'standard'):
    """Least-squares fit of `label` by a logistic curve of `prediction`.

    Args:
        prediction: Scores `[n]`, not all equal.
        label: Subjective scores `[n]`, n at least the number of parameters.
        curve: 'logistic4' or 'logistic5'.
        start: Where the optimiser (Levenberg-Marquardt) starts. 'standard' standardises both
            columns, starts from three slopes and keeps the least error, so that the result does
            not hang on the scores' scale or sign. As published scripts, on the data as they are:
            'pyiqa' or 'bvqa' for four parameters, 'polyu' or 'dbcnn' for five.

    Returns:
        (the fitted values `[n]`, the parameters).

    Raises:
        InputError: On an unknown `curve` or `start`, or too few points.

    Source:
        VQEG FR-TV phase II final report, 2003; Sheikh, Sabir, Bovik, IEEE TIP 15(11), 2006, Eq. 7.
    """
    if curve not in CURVES:
        raise InputError(f"curve: unknown name '{curve}'{nearest(curve, CURVES)}")
    function, count = CURVES[curve]
    if start != 'standard' and start not in STARTS[curve]:
        raise InputError(f"start: unknown name '{start}' for {curve}"
                         f"{nearest(start, ['standard', *STARTS[curve]])}")
    x, y = np.asarray(prediction, np.float64), np.asarray(label, np.float64)
    if x.size < count:
        raise InputError(f'prediction: {curve} needs at least {count} points, got {x.size}')
    if start == 'standard':
        parameters = _fit_standardised(curve, x, y)
    else:
        parameters = _least(function, x, y, STARTS[curve][start](x, y)).x
    return function(x, parameters), parameters


def _least(function, x, y, start):
    return least_squares(lambda b: function(x, b) - y, start, method='lm', max_nfev=2000)


def _fit_standardised(curve: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The best fit over the standard slopes, its parameters brought back to the data's scale."""
    (mean_x, deviation_x), (mean_y, deviation_y) = ((v.mean(), v.std()) for v in (x, y))
    x, y = (x - mean_x) / deviation_x, (y - mean_y) / deviation_y
    rise = np.copysign(np.ptp(y), np.dot(x, y))
    fits = [_least(CURVES[curve][0], x, y,
                   [rise / 2, -rise / 2, 0.0, 1 / slope] if curve == 'logistic4' else
                   [rise, slope, 0.0, 0.0, 0.0]) for slope in STANDARD_SLOPES]
    b = min(fits, key=lambda fit: fit.cost).x
    if curve == 'logistic4':
        return np.array([deviation_y * b[0] + mean_y, deviation_y * b[1] + mean_y,
                         deviation_x * b[2] + mean_x, deviation_x * b[3]])
    slope = deviation_y * b[3] / deviation_x
    return np.array([deviation_y * b[0], b[1] / deviation_x, deviation_x * b[2] + mean_x, slope,
                     deviation_y * b[4] + mean_y - slope * mean_x])

"""The pictures of a benchmark: a heat map of SROCC, and scores against labels. Needs matplotlib."""

import importlib.util
import pathlib
from typing import Any

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.core.workdir import replacing
from vision_jax.data.pairs import Pairs
from vision_jax.evaluators.correlation import fitted

COLUMNS = 4  # panels in a row of the scatter plots


def check_installed() -> None:
    """Raises `InputError`, saying what to install, where matplotlib is missing."""
    try:
        found = importlib.util.find_spec('matplotlib')
    except ValueError:  # a module set to None
        found = None
    if found is None:
        raise InputError("plots need matplotlib: pip install 'vision_jax[demo]', "
                         'or leave them out with --plots=none')


def heat_map(result: dict[str, Any], path: pathlib.Path) -> None:
    """SROCC of each metric with each type of distortion, and overall.

    Args:
        result: As `benchmark.run` returns it.
        path: PNG file to write.
    """
    metrics = list(result['figures'])
    types = list(result['figures'][metrics[0]])
    values = np.array([[result['figures'][metric][name]['srocc'] for metric in metrics]
                       for name in types])
    figure, axes = _figure(1, 1, size=(2.5 + 0.62 * len(metrics), 1.8 + 0.3 * len(types)))
    axis = axes[0, 0]
    shown = axis.imshow(values, cmap='RdYlGn', vmin=min(0.0, np.nanmin(values, initial=0)), vmax=1,
                        aspect='auto')
    for (row, column), value in np.ndenumerate(values):
        axis.text(column, row, '-' if np.isnan(value) else f'{value:.2f}', ha='center',
                  va='center', fontsize=7)
    axis.set_xticks(range(len(metrics)), metrics, rotation=60, ha='right')
    axis.set_yticks(range(len(types)), types)
    axis.axhline(len(types) - 1.5, color='black', linewidth=1)
    axis.set_title(f'{result["data"]}: SROCC with the {result["judged"]}', fontsize=10)
    figure.colorbar(shown, ax=axis, fraction=0.05)
    _save(figure, path)


def scatter(pairs: Pairs, examples: np.ndarray, scores: dict[str, np.ndarray], path: pathlib.Path,
            *, fit: str = 'logistic5') -> None:
    """One panel a metric: scores as they are against opinions or levels, a colour for each type.

    Args:
        pairs: The data set.
        examples: Which examples the scores are of, `[n]`.
        scores: Metric to scores `[n]`.
        path: PNG file to write.
        fit: The curve that is drawn through opinions; see `correlation.plcc`.
    """
    label = np.asarray(pairs.source.column(pairs.judged), np.float64)[examples]
    types = (pairs.source.column('distortion')[examples] if 'distortion' in pairs.source.columns
             else np.zeros(len(examples), int))
    rows = -(-len(scores) // COLUMNS)
    figure, axes = _figure(rows, min(COLUMNS, len(scores)),
                           size=(3.2 * min(COLUMNS, len(scores)), 2.9 * rows))
    for axis in axes.flat[len(scores):]:
        axis.set_axis_off()
    for axis, (metric, values) in zip(axes.flat, scores.items(), strict=False):
        there = np.isfinite(values)
        if pairs.judged == 'level':
            _levels(axis, values[there], label[there], types[there])
        else:
            axis.scatter(values[there], label[there], c=types[there], s=4, cmap='tab20')
            order = np.argsort(values[there])
            curve = fitted(values[there], label[there], fit=fit)
            axis.plot(values[there][order], curve[order], color='black')
            axis.set_xlabel('score')
        axis.set_title(metric, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel('score' if pairs.judged == 'level' else pairs.judged)
    _save(figure, path)


def _levels(axis, scores: np.ndarray, level: np.ndarray, types: np.ndarray) -> None:
    """Points beside their level, the types next to each other, and the mean of each type."""
    distinct = np.unique(types)
    for number, one in enumerate(distinct):
        here = types == one
        offset = 0.8 * ((number + 0.5) / len(distinct) - 0.5)
        steps = np.unique(level[here])
        means = [scores[here & (level == step)].mean() for step in steps]
        colour = f'C{number % 10}'
        axis.scatter(level[here] + offset, scores[here], s=1, color=colour, alpha=0.3)
        axis.plot(steps + offset, means, color=colour, linewidth=0.8)
    axis.set_xlabel('level')


def _figure(rows: int, columns: int, *, size: tuple[float, float]):
    from matplotlib.figure import Figure  # an extra, and no pyplot: no global state, no display

    figure = Figure(figsize=size, layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure, path: pathlib.Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format='png')

"""How well many metrics follow a data set: by type of distortion and overall, to files.

Against opinions: SROCC, KROCC, PLCC and RMSE after a logistic fit, the outlier ratio where the set
has deviations, and which differences between metrics are significant. Against levels
(`photo_distortions`): the SROCC of a score with the severity, within each type, over all contents;
levels of two types cannot be compared, so "overall" is the mean over the types.
"""

import csv
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from vision_jax import catalog
from vision_jax.core.workdir import replacing
from vision_jax.core.writers import finite_json
from vision_jax.data.pairs import Pairs
from vision_jax.evaluators import correlation, significance
from vision_jax.evaluators.pair_scores import score_pairs

OVERALL = 'overall'
LEVEL = 0.05  # of significance, in the table of wins
DEVIATIONS = ('deviation', 'sigma')  # columns that hold the deviation of an image's opinions


def run(pairs: Pairs, metrics: Sequence[str], folder: pathlib.Path, *, fit: str = 'logistic5',
        contents: int = 0, plots: bool = True) -> dict[str, Any]:
    """Scores a data set and writes what was found.

    Files: `scores.csv` (a later run goes on from it), `figures.csv` (one row a metric and type),
    `significance.csv` (one row a pair of metrics), `benchmark.md`, `result.json`, and with `plots`
    `heat_map.png` and `scatter.png`.

    Args:
        pairs: The data set.
        metrics: Names in the catalogue.
        folder: Where the files go; it is made.
        fit: As in `correlation.plcc`.
        contents: How many references are used, evenly spaced; 0 for all.
        plots: Whether to draw; needs matplotlib.

    Returns:
        `data`, `judged`, `images`, `figures` (metric to type to name to number) and
        `significance` (rows).

    Raises:
        InputError: On an unknown metric, scores of other images in `folder`, or no matplotlib.
    """
    if plots:
        from vision_jax.evaluators import benchmark_plots  # an extra

        benchmark_plots.check_installed()
    examples = chosen_examples(pairs, contents)
    scores = score_pairs(pairs, metrics, folder / 'scores.csv', examples=examples)
    oriented = {name: orient(pairs, name, values[examples]) for name, values in scores.items()}
    result = {'data': pairs.name, 'judged': pairs.judged, 'images': len(examples),
              'figures': figures(pairs, examples, oriented, fit=fit),
              'significance': compare(pairs, examples, oriented, fit=fit)}
    write(result, folder)
    if plots:
        benchmark_plots.heat_map(result, folder / 'heat_map.png')
        benchmark_plots.scatter(pairs, examples, {
            name: values[examples] for name, values in scores.items()}, folder / 'scatter.png',
            fit=fit)
    return result


def chosen_examples(pairs: Pairs, contents: int) -> np.ndarray:
    """The examples of so many references, evenly spaced, `[k]`.

    Args:
        pairs: The data set.
        contents: How many; 0 for all.
    """
    distinct = np.unique(pairs.content)
    count = min(contents or len(distinct), len(distinct))
    kept = distinct[np.linspace(0, len(distinct) - 1, count).round().astype(int)]
    return np.flatnonzero(np.isin(pairs.content, kept))


def orient(pairs: Pairs, metric: str, scores: np.ndarray) -> np.ndarray:
    """Scores turned so that a right metric rises with what it is compared with.

    Args:
        pairs: The data set.
        metric: Name in the catalogue.
        scores: `[n]`; infinity (the PSNR of equal images) becomes the greatest finite score.
    """
    finite = scores[np.isfinite(scores)]
    if finite.size:
        scores = np.where(np.isinf(scores), np.where(scores > 0, finite.max(), finite.min()),
                          scores)
    return scores if catalog.entry(metric).lower_is_better != pairs.higher_is_better else -scores


def figures(pairs: Pairs, examples: np.ndarray, scores: dict[str, np.ndarray], *,
            fit: str = 'logistic5') -> dict[str, dict[str, dict[str, float]]]:
    """The figures of each metric, by type of distortion and overall.

    Args:
        pairs: The data set.
        examples: Which examples the scores are of, `[n]`.
        scores: Metric to oriented scores `[n]`.
        fit: As in `correlation.plcc`.

    Returns:
        Metric to type (its name; `overall` last) to figure to value. Correlations are positive for
        a right metric.
    """
    label = np.asarray(pairs.source.column(pairs.judged), np.float64)[examples]
    types = _types(pairs, examples)
    deviation = _deviation(pairs, examples)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for metric, values in scores.items():
        rows = {}
        for name, members in types.items():
            members = members[np.isfinite(values[members])]
            if pairs.judged == 'level':
                rows[name] = _against_levels(values[members], label[members],
                                             pairs.content[examples][members])
            else:
                rows[name] = _against_opinions(
                    values[members], label[members],
                    None if deviation is None else deviation[members], fit)
        if pairs.judged == 'level':
            rows[OVERALL] = _mean_of(rows)
        else:
            rest = np.flatnonzero(np.isfinite(values))
            rows[OVERALL] = _against_opinions(
                values[rest], label[rest], None if deviation is None else deviation[rest], fit)
        result[metric] = rows
    return result


def compare(pairs: Pairs, examples: np.ndarray, scores: dict[str, np.ndarray], *,
            fit: str = 'logistic5') -> list[dict[str, Any]]:
    """Tests of each pair of metrics on all images that both could score.

    Args:
        pairs: The data set.
        examples: Which examples the scores are of, `[n]`.
        scores: Metric to oriented scores `[n]`.
        fit: As in `correlation.plcc`.

    Returns:
        Rows with `first`, `second` and the fields of `significance.Comparison`; none for levels,
        which no person judged.
    """
    if pairs.judged == 'level' or len(scores) < 2:
        return []
    common = np.isfinite(np.stack(list(scores.values()))).all(0)
    label = np.asarray(pairs.source.column(pairs.judged), np.float64)[examples][common]
    if label.size < 4:
        return []
    found = significance.compare({name: values[common] for name, values in scores.items()}, label,
                                 fit=fit)
    return [{'first': first, 'second': second, **row._asdict()}
            for (first, second), row in found.items()]


def _types(pairs: Pairs, examples: np.ndarray) -> dict[str, np.ndarray]:
    """The positions in `examples` of each type; none where the set has no types."""
    if 'distortion' not in pairs.source.columns:
        return {}
    numbers = pairs.source.column('distortion')[examples]
    return {pairs.distortion_names.get(int(one), f'{one}'): np.flatnonzero(numbers == one)
            for one in np.unique(numbers)}


def _deviation(pairs: Pairs, examples: np.ndarray) -> np.ndarray | None:
    name = next((name for name in DEVIATIONS if name in pairs.source.columns), None)
    return None if name is None else np.asarray(pairs.source.column(name), np.float64)[examples]


def _against_opinions(scores, label, deviation, fit: str) -> dict[str, float]:
    mapped = correlation.fitted(scores, label, fit=fit)
    found = {'srocc': correlation.srocc(scores, label), 'krocc': correlation.krocc(scores, label),
             'plcc': correlation.plcc(mapped, label, fit='none'),
             'rmse': correlation.rmse(mapped, label, fit='none')}
    if deviation is not None:
        found['outlier_ratio'] = correlation.outlier_ratio(mapped, label, deviation, fit='none')
    return {**found, 'images': float(len(scores))}


def _against_levels(scores, level, content) -> dict[str, float]:
    within = [correlation.srocc(scores[content == one], level[content == one])
              for one in np.unique(content)]
    within = [value for value in within if not np.isnan(value)]
    return {'srocc': correlation.srocc(scores, level), 'krocc': correlation.krocc(scores, level),
            'srocc_within': float(np.mean(within)) if within else np.nan,
            'images': float(len(scores))}


def _mean_of(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean over types of each figure; the images of all."""
    names = next(iter(rows.values()), {})
    mean = {name: float(np.nanmean([row[name] for row in rows.values()]))
            if not all(np.isnan(row[name]) for row in rows.values()) else np.nan
            for name in names}
    return {**mean, 'images': float(sum(row['images'] for row in rows.values()))}


def write(result: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes `figures.csv`, `significance.csv`, `benchmark.md` and `result.json`.

    Args:
        result: As `run` returns it.
        folder: Where to.
    """
    rows = [{'metric': metric, 'type': name, **row}
            for metric, by_type in result['figures'].items() for name, row in by_type.items()]
    _write_csv(folder / 'figures.csv', rows)
    if result['significance']:
        _write_csv(folder / 'significance.csv', result['significance'])
    for name, text in (('benchmark.md', as_markdown(result)),
                       ('result.json', json.dumps(finite_json(result), indent=1))):
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding='utf-8')


def _write_csv(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def as_markdown(result: dict[str, Any]) -> str:
    """The tables: overall, SROCC by type, and which metric is significantly better.

    Args:
        result: As `run` returns it.
    """
    levels = result['judged'] == 'level'
    what = ('SROCC with the level of the distortion, which no person judged; `overall` is the mean '
            'over the types, whose levels cannot be compared. `srocc_within` is the mean over '
            'contents.' if levels else 'Against opinions; PLCC and RMSE after the fit.')
    overall = {metric: rows[OVERALL] for metric, rows in result['figures'].items()}
    names = list(next(iter(overall.values())))
    parts = [f'# {result["data"]}, {result["images"]} images', what,
             _table(['metric', *names], [[metric, *(_cell(row[name]) for name in names)]
                                         for metric, row in overall.items()])]
    types = [name for name in next(iter(result['figures'].values())) if name != OVERALL]
    if types:
        parts += ['## SROCC by type', _table(
            ['type', *overall], [[name, *(_cell(rows[name]['srocc'])
                                          for rows in result['figures'].values())]
                                 for name in types])]
    if result['significance']:
        parts += ['## Significantly better', 'At 5 %, each pair alone: `+` the row has the smaller '
                  'residual variance than the column (F-test as VQEG), `-` the greater, `.` '
                  'neither; `?` where a residual is not normal (kurtosis outside 2 to 4). '
                  '`significance.csv` has the p-values, also of the dependent correlations.',
                  _table(['', *overall], _wins(list(overall), result['significance']))]
    return '\n\n'.join(parts) + '\n'


def _wins(metrics: list[str], rows: list[dict[str, Any]]) -> list[list[str]]:
    marks = {}
    for row in rows:
        mark = '.' if not row['f_p'] < LEVEL else '+' if row['f'] > 1 else '-'
        doubt = '' if row['normal'] else '?'
        marks[row['first'], row['second']] = mark + doubt
        marks[row['second'], row['first']] = mark.translate(str.maketrans('+-', '-+')) + doubt
    return [[one, *(marks.get((one, other), '') for other in metrics)] for one in metrics]


def _cell(value: float) -> str:
    return '-' if np.isnan(value) else f'{value:.0f}' if value > 100 else f'{value:.4f}'


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)

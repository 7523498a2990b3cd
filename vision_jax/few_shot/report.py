"""What the few-shot comparison found: numbers with intervals, a text table, and the plots."""

import base64
import html
import itertools
import json
import pathlib

import numpy as np

from vision_jax.core.workdir import replacing

RESAMPLES = 2000


def interval(per_split: np.ndarray, *, level: float = 0.95) -> dict[str, float]:
    """Mean over splits with a percentile bootstrap interval (splits are resampled).

    Args:
        per_split: One number a split, `[s]`.
        level: Share of the bootstrap means inside the interval.

    Returns:
        `mean`, `low`, `high`, and `deviation`, the standard deviation over splits.
    """
    generator = np.random.default_rng(0)
    picks = generator.integers(len(per_split), size=(RESAMPLES, len(per_split)))
    means = per_split[picks].mean(1)
    tail = 100 * (1 - level) / 2
    return {
        'mean': float(per_split.mean()),
        'low': float(np.percentile(means, tail)),
        'high': float(np.percentile(means, 100 - tail)),
        'deviation': float(per_split.std(ddof=1)) if len(per_split) > 1 else 0.0,
    }


def summarise(scores: dict[str, dict[int, np.ndarray]]) -> dict:
    """Tables from the scores of every method, shot count, split, seed, draw and distortion.

    Args:
        scores: Method to K to SROCC `[splits, seeds, draws, distortions]`.

    Returns:
        `table` (method to K to interval) and `margins` ('a - b' to K to the interval of the
        paired difference over splits, for every method a and those before it).
    """
    splits = {
        method: {k: np.nanmean(values, axis=(1, 2, 3)) for k, values in by_k.items()}
        for method, by_k in scores.items()
    }
    table = {m: {k: interval(v) for k, v in by_k.items()} for m, by_k in splits.items()}
    margins = {}
    for b, a in itertools.combinations(splits, 2):
        shared = [k for k in splits[a] if k in splits[b]]
        margins[f'{a} - {b}'] = {k: interval(splits[a][k] - splits[b][k]) for k in shared}
    return {'table': table, 'margins': margins}


def as_text(summary: dict) -> str:
    """The table, one row a method, one column a shot count: mean [low, high]."""
    shots = sorted({k for by_k in summary['table'].values() for k in by_k})
    lines = ['method'.ljust(22) + ''.join(f'K={k}'.ljust(22) for k in shots)]
    for method, by_k in summary['table'].items():
        cells = [_cell(by_k.get(k)) for k in shots]
        lines.append(method.ljust(22) + ''.join(cell.ljust(22) for cell in cells))
    return '\n'.join(line.rstrip() for line in lines)


def _cell(row: dict[str, float] | None) -> str:
    return '-' if row is None else f'{row["mean"]:.3f} [{row["low"]:.3f}, {row["high"]:.3f}]'


def write(result: dict, points: dict, folder: pathlib.Path, *, shots: int) -> None:
    """Writes `result.json`, `curves.png`, `scatter.png` and, with both in it, `report.html`."""
    plot_curves(result, folder / 'curves.png')
    pictures = ['curves.png']
    if points:
        plot_scatter(points, folder / 'scatter.png', shots=shots)
        pictures.append('scatter.png')
    page = _page(result, [folder / name for name in pictures])
    for name, text in (('report.html', page), ('result.json', json.dumps(result, indent=2))):
        with replacing(folder / name) as temporary:
            temporary.write_text(text)


def _page(result: dict, pictures: list[pathlib.Path]) -> str:
    images = ''.join(
        f'<p><img alt="{p.stem}" src="data:image/png;base64,'
        f'{base64.b64encode(p.read_bytes()).decode()}"></p>'
        for p in pictures
    )
    return (
        '<!doctype html><meta charset="utf-8"><title>vision_jax: few-shot quality</title>'
        '<style>body{font:16px sans-serif;margin:2em auto;max-width:64em}'
        'img{max-width:100%}</style><h1>MetaIQA on photographs: unseen distortions</h1>'
        f'<p>SROCC on unseen photographs after K labels of a distortion never seen in training; '
        f'mean and 95 % interval over splits. Label: {html.escape(result["protocol"]["label"])}.'
        f'</p><pre>{html.escape(as_text(result))}</pre>{images}'
    )


def plot_curves(summary: dict, path: pathlib.Path) -> None:
    """SROCC against the number of labelled images, one line a method, with intervals."""
    figure, axes = _figure(1, 1, size=(7.0, 4.6))
    axes = axes[0, 0]
    for offset, (method, by_k) in enumerate(summary['table'].items()):
        shots = sorted(by_k)
        mean = np.array([by_k[k]['mean'] for k in shots])
        low = np.array([by_k[k]['low'] for k in shots])
        high = np.array([by_k[k]['high'] for k in shots])
        x = np.array(shots) + 0.15 * (offset - len(summary['table']) / 2)  # intervals side by side
        axes.errorbar(x, mean, [mean - low, high - mean], label=method, marker='o', capsize=3)
    axes.set_xticks(sorted({k for by_k in summary['table'].values() for k in by_k}))
    axes.set_xlabel('labelled images of the unseen distortion, K')
    axes.set_ylabel('SROCC on unseen photographs')
    axes.set_title('Unseen distortions, unseen photographs: mean and 95 % interval over splits')
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def plot_scatter(points: dict[str, dict[str, np.ndarray]], path: pathlib.Path, *, shots: int):
    """Predicted against labelled quality, one panel a method, one colour a distortion.

    Args:
        points: Method to `prediction [n]`, `label [n]` and `distortion [n]` (names).
        path: PNG file to write.
        shots: K, for the title.
    """
    figure, axes = _figure(1, len(points), size=(3.4 * len(points), 3.8))
    for axis, (method, values) in zip(axes[0], points.items(), strict=True):
        for name in dict.fromkeys(values['distortion']):
            here = values['distortion'] == name
            axis.scatter(values['label'][here], values['prediction'][here], s=8, label=name)
        axis.set_title(method)
        axis.set_xlabel('pseudo-MOS, -log(1 - VSI)')
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel(f'predicted after K={shots} labels')
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(labels), frameon=False)
    _save(figure, path)


def _figure(rows: int, columns: int, *, size: tuple[float, float]):
    from matplotlib.figure import Figure  # an extra, and no pyplot: no global state, no display

    figure = Figure(figsize=size, layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure, path: pathlib.Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format='png')

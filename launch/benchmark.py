"""Compares metrics on a whole data set: a table, a heat map and scatter plots.

    python -m launch.benchmark --metrics=psnr,ssim,vsi --out=runs/benchmark
    python -m launch.benchmark --data=tid2013 --metrics=all --out=runs/tid2013
    python -m launch.benchmark --data=photos --metrics=ssim,gmsd --out=runs/photos

`--data` is `photo_distortions` (built from installed photographs, judged by the level of each
distortion), a published set (tid2013, kadid10k, live, csiq, pieapp; see docs/data.md), or a folder
with a table labels.csv of `path`, `reference_path` and `quality`. `--data.key=value` sets its
options: `--data.lower_is_better=True`, `--data.judged=level`, `--data.tile=96`. The scores are kept
in OUT/scores.csv: the same command goes on with a run that was stopped, and adds other metrics.
"""

import ast
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import launch
from vision_jax.core.errors import InputError

DEFAULT_METRICS = 'psnr,ssim,ms_ssim,fsimc,vsi,gmsd,mdsi,haarpsi'
PLOTS = ('all', 'none')


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return launch.run_command(command, arguments)


def command(arguments: Sequence[str]) -> None:
    """Runs the command; raises `InputError` on a person's mistake."""
    options, rest = _data_options(arguments)
    parser = launch.Parser(__doc__)
    parser.add_argument('--data', default='photo_distortions', help='a data set, or a folder')
    parser.add_argument('--metrics', default=DEFAULT_METRICS,
                        help='names joined by commas, or all (of the catalogue, without extras)')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument('--fit', default='logistic5', help='logistic5, logistic4 or none')
    parser.add_argument('--contents', type=int, default=0, help='only so many references; 0: all')
    parser.add_argument('--plots', default='all', choices=PLOTS)
    given = parser.parse_args(rest)
    if given.contents < 0:
        raise InputError(f'--contents={given.contents}: expected 0 or more')

    from vision_jax.data.pairs import open_pairs
    from vision_jax.evaluators import benchmark

    names = metric_names(given.metrics)
    pairs = open_pairs({**data_config(given.data), **options})
    folder = pathlib.Path(given.out)
    result = benchmark.run(pairs, names, folder, fit=given.fit, contents=given.contents,
                           plots=given.plots == 'all')
    print(benchmark.as_markdown(result))
    print(folder / 'benchmark.md')


def data_config(name: str) -> dict[str, Any]:
    """The `data` section for a name or a folder."""
    return {'name': 'folder', 'folder': name} if pathlib.Path(name).is_dir() else {'name': name}


def metric_names(text: str) -> list[str]:
    """The metrics of a list joined by commas, each once; `all` for those without extras."""
    from vision_jax import catalog

    if text == 'all':
        return [name for name in catalog.names(kind='full_reference')
                if not catalog.entry(name).extra]
    names = list(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))
    if not names:
        raise InputError('--metrics: expected names joined by commas, as ssim,vsi')
    for name in names:
        catalog.entry(name)
    return names


def _data_options(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Takes `--data.key=value` out of a command line."""
    options, rest = {}, []
    for argument in arguments:
        if not argument.startswith('--data.'):
            rest.append(argument)
            continue
        key, equals, text = argument.removeprefix('--data.').partition('=')
        if not equals:
            raise InputError(f'{argument}: expected --data.key=value')
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = text
    return options, rest


if __name__ == '__main__':
    sys.exit(main())

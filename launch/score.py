"""Scores pictures or videos against their references.

    python -m launch.score photo.png photo.jpg
    python -m launch.score references/ distorted/ --metrics=ssim,vsi,gmsd --json
    python -m launch.score pairs.csv --metrics=ssim:downsample=auto:colour=bt601 --csv -o scores.csv
    python -m launch.score photo.png photo.jpg --metrics=ssim,mdsi --map=maps
    python -m launch.score --list

Two files; two folders, matched by name, or by the name without its suffix; or a CSV table with the
columns reference and distorted, relative to its folder. Exit code 1 if a pair could not be scored:
each is named on stderr, the others are scored. What is read and how: docs/scoring.md.
"""

import argparse
import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence

import launch
from vision_jax.core.errors import InputError

DEFAULT_METRICS = 'psnr,ssim,vsi,gmsd'  # quick, and of pictures of any size
ALPHA = ('refuse', 'black', 'white', 'checker')
PROGRESS_LINES, FEW_PAIRS = 10, 20


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    codes: list[int] = []
    try:
        wrong = launch.run_command(lambda words: codes.append(_command(words)), arguments)
    except BrokenPipeError:  # `| head`: whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _say('interrupted')
        return 130
    return wrong or codes[0]


def _command(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.list:
        return _print_catalogue(options)
    pairs, unmatched = _pairs([pathlib.Path(path) for path in options.paths])
    from vision_jax.evaluators import asked_metrics

    metrics = asked_metrics.parse(options.metrics)
    if options.map and not any(metric.row.has_map for metric in metrics):
        raise InputError('--map: none of the metrics has a map; --list says which do')
    for line in unmatched:
        _say(f'unmatched: {line}')
    return _score(pairs, metrics, options)


def _parser() -> launch.Parser:
    parser = launch.Parser(__doc__)
    parser.add_argument('paths', nargs='*', help='REFERENCE DISTORTED (files or folders), or a CSV')
    parser.add_argument('--metrics', default=DEFAULT_METRICS,
                        help='joined by commas, with options as ssim:downsample=auto '
                             f'(default: {DEFAULT_METRICS})')
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true', help='one object a line')
    form.add_argument('--csv', action='store_true', help='one line a pair, one column a metric')
    parser.add_argument('-o', '--output', default='', help='file to write instead of stdout, whole')
    parser.add_argument('--frames', action='store_true', help='of a video, each frame too')
    parser.add_argument('--map', default='', help='folder for the local errors, as PNG')
    parser.add_argument('--map_white', type=float, default=None,
                        help='the error that maps show lightest (default: the largest of each)')
    parser.add_argument('--alpha', default='refuse', choices=ALPHA,
                        help='background that transparent pixels are put on (default: refuse)')
    parser.add_argument('--max_pixels', type=int, default=2 ** 27,
                        help='refuse larger pictures (default: %(default)s)')
    parser.add_argument('--precision', default='float32', choices=('float32', 'float64'))
    parser.add_argument('--list', action='store_true', help='print the metrics that there are')
    return parser


def _pairs(paths: list[pathlib.Path]):
    """The pairs that the command line names, and what has no partner."""
    from vision_jax.data import pair_files

    if len(paths) == 1:
        if paths[0].is_dir():
            raise InputError(f'{paths[0]} is one folder; name the references and the distorted')
        return pair_files.read_table(paths[0]), []
    if len(paths) != 2:
        raise InputError(f'expected REFERENCE DISTORTED or a CSV table, got {len(paths)} paths; '
                         '--help lists the arguments')
    folders = [path.is_dir() for path in paths]
    if any(folders) and not all(folders):
        raise InputError(f'{paths[folders.index(True)]} is a folder and '
                         f'{paths[folders.index(False)]} is not')
    if all(folders):
        return pair_files.match_folders(*paths)
    return [pair_files.FilePair(*paths)], []


def _score(pairs, metrics, options: argparse.Namespace) -> int:
    """Scores and prints; the exit code says whether all could be scored."""
    from PIL import Image

    from vision_jax.core.writers import Progress
    from vision_jax.data import images
    from vision_jax.evaluators import error_maps, score_writers, scoring

    images.silence_libtiff()
    if options.max_pixels > (Image.MAX_IMAGE_PIXELS or options.max_pixels):
        Image.MAX_IMAGE_PIXELS = options.max_pixels  # Pillow's own limit, of the process
    progress = Progress(len(pairs), unit='pair', title='scored',
                        lines=PROGRESS_LINES if len(pairs) > FEW_PAIRS else 0)
    folder = error_maps.MapFolder(options.map, white=options.map_white) if options.map else None
    failed = done = 0
    found = scoring.score_files(pairs, metrics, alpha=options.alpha, precision=options.precision,
                                max_pixels=options.max_pixels, maps=folder is not None,
                                note=lambda text: progress.note(f'note: {text}'))
    labels = [metric.label for metric in metrics]
    form = 'json' if options.json else 'csv' if options.csv else 'table'
    with _destination(options.output) as file, contextlib.closing(progress), (
            contextlib.closing(folder) if folder else contextlib.nullcontext()):
        writer = score_writers.OPEN[form](file, pairs, labels, frames=options.frames)
        in_order = score_writers.InOrder(writer, frames=options.frames)
        for scored in found:
            in_order.put(scored)
            if scored.frame is not None:
                continue
            done += 1
            failed += bool(scored.errors)
            for error in scored.errors:
                progress.note(f'error: {error}')
            for label, errors in scored.maps.items():
                folder.write(errors, metric=label, **pairs[scored.index]._asdict())
            progress.advance(done)
        writer.close()
    if folder:
        _say(f'maps in {options.map}: black is as equal pictures, the lightest is the error in '
             f'the column white of {error_maps.INDEX}')
    return int(failed > 0)


@contextlib.contextmanager
def _destination(path: str) -> Iterator:
    """Standard output, or a file that appears when it is complete."""
    if not path:
        yield sys.stdout
        sys.stdout.flush()
        return
    from vision_jax.core.workdir import replacing

    try:
        with replacing(pathlib.Path(path)) as temporary, temporary.open(
                'w', encoding='utf-8', newline='', errors='surrogateescape') as file:
            yield file
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}') from None


def _print_catalogue(options: argparse.Namespace) -> int:
    from vision_jax.evaluators import score_writers

    with _destination(options.output) as file:
        score_writers.write_catalogue(file, json_lines=options.json)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())

"""Compares ways of training on few labels of unseen distortions; what `./launch/demo` runs.

    python -m launch.few_shot --config=configs/iqa/metaiqa_photos.py --workdir=runs/demo

Prints the table and, last, the path of result.json; curves.png, scatter.png and report.html are
beside it. `--config.few_shot.splits=20` and the like replace values.
"""

import sys
from collections.abc import Sequence

import launch


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return launch.run_command(_command, arguments)


def _command(arguments: Sequence[str]) -> None:
    overrides, rest = launch.split_overrides(arguments)
    parser = launch.Parser(__doc__)
    parser.add_argument('--config', required=True, help='path.py or path.py:variant')
    parser.add_argument('--workdir', required=True, help='folder for the results')
    options = parser.parse_args(rest)

    from vision_jax.core import config
    from vision_jax.few_shot import experiment, report

    result = experiment.run(config.load(options.config, overrides=overrides), options.workdir)
    label = result['protocol']['label']
    print(f'\nSROCC on unseen photographs, unseen distortions; label: {label}')
    print(report.as_text(result))
    print(f'seconds: {result["seconds"]}')
    print(f'{options.workdir}/result.json')


if __name__ == '__main__':
    sys.exit(main())

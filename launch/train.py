"""Trains what a config describes; the same command goes on with a run that was stopped.

    python -m launch.train --config=configs/iqa/metaiqa_photos.py --workdir=runs/photos \\
        --config.train.steps=100

`--config=path.py:variant` picks a variant (`smoke`); `--config.key=value` replaces a value. The
last line printed is the path of result.json. SIGTERM saves a checkpoint and exits with code 0.
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
    parser.add_argument('--workdir', required=True, help='folder of the run')
    launch.add_process_arguments(parser)
    options = parser.parse_args(rest)
    launch.join_processes(options)
    import jax

    from vision_jax import train
    from vision_jax.core import config

    result = train.run(config.load(options.config, overrides=overrides), options.workdir)
    if jax.process_index() == 0 and result['finished']:
        print(f'{options.workdir}/result.json')
    elif jax.process_index() == 0:
        print(f"stopped at step {result['step']}, saved; the same command goes on")


if __name__ == '__main__':
    sys.exit(main())

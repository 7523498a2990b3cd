"""Evaluates a checkpoint of a run and prints its figures as JSON.

    python -m launch.evaluate --workdir=runs/photos --checkpoint=best

The config is the run's own; `--config.data.key=value` evaluates on other data.
"""

import json
import pathlib
import sys
from collections.abc import Sequence

import launch


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return launch.run_command(_command, arguments)


def _command(arguments: Sequence[str]) -> None:
    overrides, rest = launch.split_overrides(arguments)
    parser = launch.Parser(__doc__)
    parser.add_argument('--workdir', required=True, help='folder of the run')
    parser.add_argument('--checkpoint', default='latest', help='latest, best or a step')
    parser.add_argument('--config', default='', help="by default the run's own")
    launch.add_process_arguments(parser)
    options = parser.parse_args(rest)
    launch.join_processes(options)
    from vision_jax import train
    from vision_jax.core import config as config_lib
    from vision_jax.core import workdir, writers

    if options.config:
        config = config_lib.load(options.config, overrides=overrides)
    else:
        plain = workdir.read_config(pathlib.Path(options.workdir))
        config = config_lib.override(config_lib.from_plain(plain), overrides)
    found = train.evaluate(config, options.workdir, checkpoint=options.checkpoint)
    print(json.dumps(writers.finite_json(found), indent=1, sort_keys=True))


if __name__ == '__main__':
    sys.exit(main())

"""All commands under one name, as the console script `vision-jax`.

    vision-jax score photo.png photo.jpg
    vision-jax benchmark --metrics=psnr,ssim,vsi --out=runs/benchmark
    vision-jax train --config=configs/iqa/metaiqa_photos.py --workdir=runs/photos
    vision-jax evaluate --workdir=runs/photos

Each is also a module, `python -m launch.score`, and answers --help.
"""

import importlib
import sys
from collections.abc import Sequence

import launch
from vision_jax.core.errors import InputError, nearest

COMMANDS = ('score', 'benchmark', 'train', 'evaluate')


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code of the command that it names."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(__doc__.strip())
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        def refuse(_) -> None:
            raise InputError(f"no command '{name}'{nearest(name, COMMANDS)}")
        return launch.run_command(refuse, rest)
    return importlib.import_module(f'launch.{name}').main(rest)


if __name__ == '__main__':
    sys.exit(main())

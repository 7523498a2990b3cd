"""Command lines. A person's mistake is answered with one line and exit code 1."""

import argparse
import sys
from collections.abc import Callable, Sequence

from vision_jax.core.errors import InputError


def run_command(command: Callable[[Sequence[str]], None], arguments: Sequence[str] | None) -> int:
    """Runs a command; returns the exit code, 1 after an `InputError`."""
    try:
        command(sys.argv[1:] if arguments is None else arguments)
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong argument as any other mistake."""

    def __init__(self, description: str):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> None:
        raise InputError(f'{message}; --help lists the arguments')


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes `--config.key=value` out of a command line; returns (`key=value` texts, the rest)."""
    overrides, rest, left = [], [], iter(arguments)
    for argument in left:
        if argument.startswith('--config.'):
            text = argument.removeprefix('--config.')
            overrides.append(text if '=' in text else f'{text}={next(left, "")}')
        else:
            rest.append(argument)
    return overrides, rest


def add_process_arguments(parser: Parser) -> None:
    """The arguments that make one of several processes; see docs/multihost.md."""
    group = parser.add_argument_group('several processes')
    group.add_argument('--coordinator', help='host:port of process 0, reachable by all')
    group.add_argument('--num_processes', type=int, help='how many processes there are')
    group.add_argument('--process_id', type=int, help='which one this is, from 0')
    group.add_argument('--local_device_ids', help='devices of this host to use: 0 or 0,1')
    group.add_argument(
        '--distributed', action='store_true', help='take all that from Slurm, TPU VM or GKE'
    )


def join_processes(options: argparse.Namespace) -> None:
    """Connects to the other processes if the command line says that there are any."""
    given = (options.coordinator, options.num_processes, options.process_id)
    if not options.distributed and given == (None, None, None):
        return
    if not options.distributed and None in given:
        raise InputError('--coordinator, --num_processes and --process_id belong together; '
                         'give all three, or --distributed')
    import jax  # not before: `--help` is quick

    ids = options.local_device_ids
    jax.distributed.initialize(
        *given, local_device_ids=[int(i) for i in ids.split(',')] if ids else None
    )

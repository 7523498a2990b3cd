"""Starts one command as several processes of this host, which train together.

    python -m launch.multihost --num_processes=2 -- \\
        launch.train --config=configs/iqa/metaiqa.py --workdir=runs/metaiqa

One process drives all devices of a host, so a single host needs this only to keep GPUs apart
(`--devices_per_process=1`) or to try, on CPU, what a cluster would do. Slurm, GKE and TPU VMs start
processes themselves: see docs/multihost.md.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import launch
from vision_jax.core.errors import InputError

POLL_SECONDS = 0.1
GRACE_SECONDS = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, that of the first process that failed."""
    codes = []
    wrong = launch.run_command(lambda words: codes.append(_command(words)), arguments)
    return wrong or codes[0]


def _command(arguments: Sequence[str]) -> int:
    arguments = list(arguments)
    split = arguments.index('--') if '--' in arguments else len(arguments)
    parser = launch.Parser(__doc__)
    parser.add_argument('--num_processes', type=int, required=True, help='how many to start')
    parser.add_argument('--devices_per_process', type=int, default=0, help='GPUs of each; 0: all')
    options = parser.parse_args(arguments[:split])
    command = arguments[split + 1:]
    if not command:
        raise InputError('no command; write it after --, such as `-- launch.train --config=...`')
    if options.num_processes < 1:
        raise InputError(f'--num_processes={options.num_processes}: expected at least 1')
    return _run_all(_commands(command, options.num_processes, options.devices_per_process))


def _commands(command: list[str], count: int, devices: int) -> list[list[str]]:
    """The command line of each process."""
    coordinator = f'localhost:{_free_port()}'
    lines = []
    for index in range(count):
        line = [
            sys.executable, '-m', *command, f'--coordinator={coordinator}',
            f'--num_processes={count}', f'--process_id={index}',
        ]
        if devices:
            own = range(index * devices, (index + 1) * devices)
            line.append(f'--local_device_ids={",".join(map(str, own))}')
        lines.append(line)
    return lines


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        return probe.getsockname()[1]


def _run_all(lines: list[list[str]]) -> int:
    """Runs all until the last ends or one fails; passes SIGTERM on to them."""
    processes: list[subprocess.Popen] = []

    def terminate(*_) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        for line in lines:
            processes.append(subprocess.Popen(line))
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes):
                break  # the others would wait for it
            time.sleep(POLL_SECONDS)
        return next((process.returncode for process in processes if process.returncode), 0)
    finally:
        terminate()
        _end(processes)
        signal.signal(signal.SIGTERM, before)


def _end(processes: list[subprocess.Popen]) -> None:
    """Waits for all, and kills what does not end after SIGTERM."""
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == '__main__':
    sys.exit(main())

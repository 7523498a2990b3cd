"""Two processes of the launcher do what one does; they stop together and fail together."""

import json
import os
import signal
import subprocess
import sys
import time

import jax
import pytest

import launch
from launch import multihost
from tests import toy_tasks, two_processes
from vision_jax.core import parallel
from vision_jax.core.errors import InputError
from vision_jax.weights import readers


def start(repository, folder, what: str) -> subprocess.Popen:
    """Two processes of two CPU devices each."""
    command = [
        sys.executable, '-m', 'launch.multihost', '--num_processes=2', '--',
        'tests.two_processes', str(folder), what,
    ]
    return subprocess.Popen(
        command, cwd=repository, env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


@pytest.fixture(scope='module')
def both(tmp_path_factory, repository):
    """The folders of the runs of two processes, and of one with one device."""
    folder = tmp_path_factory.mktemp('runs')
    process = start(repository, folder / 'two', 'all')
    two_processes.run_all(folder / 'one', devices=jax.devices()[:1])
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return folder / 'two', folder / 'one'


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['plain', 'maml'])
@pytest.mark.parametrize('backend', parallel.BACKENDS)
def test_two_processes_equal_one(both, kind, backend):
    states = [
        readers.load_orbax(folder / f'{kind}_{backend}' / 'checkpoints' / '2' / 'state')
        for folder in both
    ]
    assert states[0].keys() == states[1].keys()
    for part in ('opt_state', 'params'):
        two, one = ({k: v for k, v in s.items() if k.startswith(part)} for s in states)
        assert two
        assert toy_tasks.relative_error(two, one) < 1e-6
    two, one = (
        json.loads((folder / f'{kind}_{backend}' / 'result.json').read_text())['evaluation']
        for folder in both
    )
    for name in ('loss', 'squared_error', 'correlation/srocc', 'correlation/examples'):
        assert two[name] == pytest.approx(one[name], rel=1e-5), name
    # Process 0 alone writes: a second writer would have doubled the rows.
    rows = (both[0] / f'{kind}_{backend}' / 'metrics.jsonl').read_text().splitlines()
    assert [json.loads(row)['step'] for row in rows] == [1, 2, 2]


@pytest.mark.slow
def test_sigterm_stops_both_at_one_step(tmp_path, repository):
    process = start(repository, tmp_path, 'long')
    deadline = time.monotonic() + 120
    while not list((tmp_path / 'checkpoints').glob('[0-9]')) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output[-3000:]
    (stopped,) = tmp_path.glob('stopped*')
    steps = [int(path.name) for path in (tmp_path / 'checkpoints').glob('[0-9]*')]
    assert stopped.name == f'stopped{max(steps)}'
    assert not (tmp_path / 'result.json').exists()


@pytest.mark.slow
def test_one_that_fails_ends_the_other(tmp_path, repository):
    process = start(repository, tmp_path, 'fail')
    process.communicate(timeout=120)
    assert process.returncode == 3


def test_each_process_gets_its_own_devices():
    lines = multihost._commands(['launch.train', '--workdir=w'], 2, 3)
    assert [line[1:4] for line in lines] == [['-m', 'launch.train', '--workdir=w']] * 2
    assert [line[-2:] for line in lines] == [
        ['--process_id=0', '--local_device_ids=0,1,2'],
        ['--process_id=1', '--local_device_ids=3,4,5'],
    ]
    assert lines[0][4] == lines[1][4]
    assert lines[0][4].startswith('--coordinator=localhost:')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--num_processes=2'], 'no command'),
        (['--num_processes=0', '--', 'launch.train'], 'expected at least 1'),
        (['--', 'launch.train'], 'required: --num_processes'),
    ],
)
def test_a_wrong_launch_is_answered(arguments, message, capsys):
    assert multihost.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_process_arguments_belong_together():
    parser = launch.Parser('')
    launch.add_process_arguments(parser)
    with pytest.raises(InputError, match='belong together'):
        launch.join_processes(parser.parse_args(['--num_processes=2']))

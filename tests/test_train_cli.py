"""The command lines, on one's own images: what they write, and one line for each mistake."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from launch import evaluate, train

CONFIG = '''
from configs.base import base


def get_config(variant=''):
    config = base()
    config.task = 'quality'
    config.loss = 'squared_error'
    config.model.update({'name': 'metaiqa', 'input': 'image', 'variant': 'tiny'})
    config.data.name = 'folder'
    config.data.folder = 'photos'
    config.data.batch_size = 8
    config.data.crop = 16
    config.train.steps = 2
    config.train.log_every = 1
    config.train.eval_every = config.train.checkpoint_every = 2
    config.evaluators = ('correlation',)
    return config.lock()
'''
IMAGES = 20
ARGUMENTS = ['--config=mine.py', '--workdir=run']


def make_photos(folder: pathlib.Path) -> None:
    """Images whose quality is their brightness, and their table."""
    folder.mkdir()
    random, lines = np.random.default_rng(0), ['path,quality']
    for index in range(IMAGES):
        level = (index + 1) / IMAGES
        pixels = random.uniform(0, 255 * level, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f'{index}.png')
        lines.append(f'{index}.png,{level}')
    (folder / 'labels.csv').write_text('\n'.join(lines))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A folder with a config, images, and a finished run."""
    folder = tmp_path_factory.mktemp('finished')
    make_photos(folder / 'photos')
    (folder / 'mine.py').write_text(CONFIG)
    before = pathlib.Path.cwd()
    os.chdir(folder)
    try:
        assert train.main(ARGUMENTS) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(finished, tmp_path, monkeypatch):
    """A copy of that folder to break, as the working directory."""
    shutil.copytree(finished, tmp_path / 'here')
    monkeypatch.chdir(tmp_path / 'here')
    return tmp_path / 'here'


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a run."""
    return {str(p): p.read_bytes() for p in (folder / 'run').rglob('*') if p.is_file()}


def assert_refused(place, capfd, arguments, message: str, command=train) -> None:
    """One line, exit code 1, and everything as it was."""
    before = contents(place)
    capfd.readouterr()
    assert command.main(arguments) == 1
    out, err = capfd.readouterr()
    assert out == ''
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    assert message in err
    assert contents(place) == before


def test_a_run_leaves_its_result(finished):
    run = finished / 'run'
    result = json.loads((run / 'result.json').read_text())
    assert result['step'] == 2
    assert result['evaluation']['correlation/examples'] == round(0.2 * IMAGES)
    assert json.loads((run / 'config.json').read_text())['data']['folder'] == 'photos'
    assert [p.name for p in (run / 'checkpoints').iterdir()] == ['2']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--config.train.stpes=3'], "no key 'train.stpes'; did you mean 'train.steps'?"),
        (['--config.train.stpes', '3'], "no key 'train.stpes'; did you mean 'train.steps'?"),
        (['--config.task=qualty'], "task: 'quality' -> 'qualty'"),
        (['--config.seed=1'], 'belongs to another config: seed: 0 -> 1'),
        (['--config.train.steps=1'], 'at step 2 already'),
        (['--workdir=new', '--config.task=qualty'], "no task 'qualty'; did you mean 'quality'?"),
        (['--workdir=new', '--config.data.batch_size=12'], '12 does not divide over 8 devices'),
        (['--workdir=new', '--config.data.folder=none'], 'no table none/labels.csv'),
        (['--workdir=new', '--config.data.name=foldr'], "'foldr'; did you mean 'folder'?"),
        (['--workdir=new', '--config.evaluators=("corelation",)'], "did you mean 'correlation'?"),
        (['--workdir=new', '--config.optimizer.name=adm'], "did you mean 'adam'?"),
        (['--workdir=new', '--config.parallel=pmpa'], "did you mean 'pmap'?"),
        (['--workdir=new', '--config.train.accumulate=3'], 'accumulate=3 does not divide'),
        (['--workdir=mine.py'], 'is a file'),
        (['--workdir=photos/..'], None),
        (['--steps=3'], 'unrecognized arguments: --steps=3'),
        (['--config=none.py'], "no config file 'none.py'"),
    ],
)
def test_a_mistake_in_the_command_line(place, capfd, arguments, message):
    if message is None:  # a folder that is not a run's, with nothing of a run in it, may be used
        shutil.rmtree('run')
        assert train.main([*ARGUMENTS, *arguments]) == 0
        return
    assert_refused(place, capfd, [*ARGUMENTS, *arguments], message)


@pytest.mark.parametrize('missing', range(2))
def test_a_missing_argument(place, capfd, missing):
    arguments = [argument for index, argument in enumerate(ARGUMENTS) if index != missing]
    assert_refused(place, capfd, arguments, 'the following arguments are required')


def test_no_images(place, capfd):
    for path in (place / 'photos').glob('*.png'):
        path.unlink()
    assert_refused(place, capfd, ARGUMENTS, 'no images found in photos (20 rows in photos/')


def test_corrupt_images_stop_the_run_or_are_skipped(place, capfd):
    paths = sorted((place / 'photos').glob('*.png'))
    for path in paths:
        path.write_bytes(path.read_bytes()[:60])
    assert_refused(place, capfd, ARGUMENTS, 'corrupt image photos/')
    skipping = [*ARGUMENTS, '--workdir=new', '--config.data.on_corrupt=skip']
    assert_refused(place, capfd, skipping, 'too many images cannot be decoded')


def test_a_nan_label(place, capfd):
    table = place / 'photos' / 'labels.csv'
    table.write_text(table.read_text().replace('4.png,0.25', '4.png,nan'))
    assert_refused(place, capfd, ARGUMENTS, "column 'quality', row 5 (4.png): the label is nan")


def test_images_of_several_sizes(place, capfd):
    for path in (place / 'photos').glob('1*.png'):
        Image.open(path).resize((40, 30)).save(path)
    arguments = [*ARGUMENTS, '--workdir=new', '--config.data.crop=0']
    assert_refused(place, capfd, arguments, 'cannot share a batch; set data.crop')


def test_a_folder_with_results_of_unknown_origin(place, capfd):
    (place / 'run' / 'config.json').unlink()
    assert_refused(place, capfd, ARGUMENTS, 'holds checkpoints, metrics.jsonl, tensorboard, result')


def test_a_checkpoint_that_is_none(place, capfd):
    (place / 'run' / 'checkpoints' / '9').mkdir()
    (place / 'run' / 'checkpoints' / '9' / 'model.bin').write_bytes(b'PK')
    arguments = [*ARGUMENTS, '--config.train.steps=20']
    assert_refused(place, capfd, arguments, 'checkpoints/9 is damaged, half-written or no check')


def test_a_checkpoint_of_another_model(place, capfd):
    path = place / 'run' / 'checkpoints' / '2' / 'run' / 'metadata'
    saved = json.loads(path.read_text())
    (place / 'mine.py').write_text(CONFIG.replace("'tiny'}", "'tiny', 'trunk': None}"))
    for config in (place / 'run' / 'config.json', path):
        text = json.loads(config.read_text())
        section = text if config.name == 'config.json' else text['config']
        section['data']['crop'] = 8
        config.write_text(json.dumps(text))
    assert saved['config']['data']['crop'] == 16
    assert_refused(place, capfd, ARGUMENTS, 'belongs to another config: data.crop: 8 -> 16')


def test_evaluating_a_checkpoint(place, capfd):
    before = contents(place)
    assert evaluate.main(['--workdir=run']) == 0
    found = json.loads(capfd.readouterr().out)
    result = json.loads((place / 'run' / 'result.json').read_text())
    assert found == {'step': 2, 'evaluation': result['evaluation']}
    assert evaluate.main(['--workdir=run', '--config.data.test_split=all']) == 0
    found = json.loads(capfd.readouterr().out)
    assert found['evaluation']['correlation/examples'] == IMAGES
    assert contents(place) == before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--workdir=photos'], 'no config.json: it is no workdir'),
        (['--workdir=run', '--checkpoint=7'], 'no checkpoint of step 7; there are [2]'),
        (['--workdir=run', '--checkpoint=best'], "no checkpoint 'best'"),
        (['--workdir=run', '--checkpoint=newest'], "no checkpoint 'newest'"),
        (['--workdir=run', '--config.model.variant=large'], "variant: 'tiny' -> 'large'"),
        ([], 'required: --workdir'),
    ],
)
def test_a_mistake_in_evaluating(place, capfd, arguments, message):
    assert_refused(place, capfd, arguments, message, command=evaluate)


def environment(repository) -> dict[str, str]:
    """That of a shell in the checkout."""
    return {**os.environ, 'PYTHONPATH': str(repository)}


@pytest.mark.slow
def test_the_command_itself(place, repository):
    command = [sys.executable, '-m', 'launch.train', *ARGUMENTS, '--config.train.steps=3']
    done = subprocess.run(command, env=environment(repository), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'run/result.json\n'
    assert 'train 3/3' in done.stderr
    command[-1] = '--config.model.vriant=x'
    done = subprocess.run(command, env=environment(repository), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: config has no key 'model.vriant'; did you mean 'model.variant'?\n"
    )
    done = subprocess.run([*command[:3], '--help'], env=environment(repository),
                          capture_output=True, text=True)
    assert done.returncode == 0
    assert '--workdir' in done.stdout


@pytest.mark.slow
def test_sigterm_exits_cleanly_and_the_same_command_goes_on(place, repository):
    command = [
        sys.executable, '-m', 'launch.train', *ARGUMENTS, '--config.train.steps=100000',
        '--config.train.checkpoint_every=100000', '--config.train.eval_every=0',
    ]
    process = subprocess.Popen(
        command, env=environment(repository), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )
    log, rows, deadline = place / 'run' / 'metrics.jsonl', 0, time.monotonic() + 120
    while rows < 8 and time.monotonic() < deadline:
        rows = len(log.read_text().splitlines())
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    stopped = max(int(p.name) for p in (place / 'run' / 'checkpoints').iterdir())
    assert stopped > 2
    assert out == f'stopped at step {stopped}, saved; the same command goes on\n'
    command[5] = f'--config.train.steps={stopped + 1}'
    done = subprocess.run(command, env=environment(repository), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(row)['step'] for row in log.read_text().splitlines()]
    assert steps[-1] == stopped + 1

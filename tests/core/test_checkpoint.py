"""Checkpoints: bit-equal, whole or refused, never overwritten, on any number of devices."""

import gc
import pathlib
import pickle
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import toy_runs, toy_tasks
from vision_jax import train
from vision_jax.core import checkpoint, config, parallel, rng, state, workdir
from vision_jax.core.errors import InputError

CONFIG = {'task': 'toy', 'train': {'steps': 10}}


def made_state(step: int = 1, *, seed: int = 0, task=None) -> state.TrainState:
    """A state with all that there can be: moments, an average, frozen leaves, statistics."""
    first = state.create(
        task or toy_tasks.convolution_task('batch'), optax.chain(optax.clip(1), optax.adam(0.1)),
        toy_tasks.image_batch(4), rng.run_key(seed), ema=True, freeze=('head/.*',),
    )
    return first.replace(step=jnp.asarray(step, jnp.int32))


def saved(folder: pathlib.Path, *steps: int, **options) -> None:
    """Writes checkpoints of `made_state`."""
    with checkpoint.Checkpoints(folder, CONFIG, **options) as checkpoints:
        for step in steps:
            checkpoints.save(made_state(step, seed=step), {'position': {'batches': step}})


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def assert_bit_equal(got, expected) -> None:
    """Same structure, dtypes and bits."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def test_a_state_comes_back_bit_equal_with_what_was_beside_it(tmp_path):
    tiny = np.float32([np.nextafter(np.float32(0), np.float32(1)), -0.0, np.pi])
    original = made_state(7).replace(model_state={'low': tiny, 'half': jnp.bfloat16([1.5, 2])})
    run = {'position': {'batches': 2**40}, 'totals': {'loss': [0.1 + 0.2, 3.0]}}
    with checkpoint.Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(original, run)
    with checkpoint.Checkpoints(tmp_path, CONFIG) as checkpoints:
        got = checkpoints.restore(jax.eval_shape(lambda: original))
    assert_bit_equal(got.state, original)
    assert {**run, 'config': CONFIG} == got.run


def test_what_is_written_is_the_state_when_save_was_called(tmp_path):
    layout = parallel.make_layout('pmap')

    def build(axis_name):
        del axis_name
        return lambda s, batch, key: (
            s.replace(step=s.step + 1, params=jax.tree.map(lambda x: x * 1.5, s.params)), {}
        )

    compiled = parallel.train_step(build, layout)
    carried, key = parallel.replicate((made_state(0), rng.run_key(0)), layout)
    batch, expected = parallel.place_batch({'x': np.zeros(8)}, layout), {}
    with checkpoint.Checkpoints(tmp_path, CONFIG, keep=20) as checkpoints:
        for _ in range(6):
            carried, _ = compiled(carried, batch, key)
            expected[int(carried.step)] = jax.tree.map(np.array, carried.params)
            checkpoints.save(carried, {})
        for step, params in expected.items():
            assert_bit_equal(checkpoints.restore(made_state(), step).state.params, params)


@pytest.mark.parametrize(('mode', 'best'), [('max', 3), ('min', 1)])
def test_the_newest_and_the_best_are_kept(tmp_path, mode, best):
    scores = {1: 0.1, 2: np.nan, 3: 0.9, 4: None, 5: 0.5, 6: 0.4, 7: None}
    with checkpoint.Checkpoints(
        tmp_path, CONFIG, keep=2, best_metric='srocc', best_mode=mode
    ) as checkpoints:
        for step, score in scores.items():
            evaluation = {} if score is None else {'srocc': score, 'loss': 1.0}
            checkpoints.save(made_state(step), {}, evaluation)
        checkpoints.wait()
        assert checkpoints.steps() == [best, 6, 7]
    with checkpoint.Checkpoints(
        tmp_path, CONFIG, keep=2, best_metric='srocc', best_mode=mode
    ) as checkpoints:
        assert checkpoints.best_step() == best
        assert checkpoints.metrics(best) == {'srocc': scores[best], 'loss': 1.0}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([str(best), '6', '7'])


# Orbax drops the futures of a read that failed, and asyncio complains of them when collected.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_every_damage_to_a_file_is_noticed_or_harmless(tmp_path):
    saved(tmp_path / 'whole', 5)
    expected = made_state(5, seed=5)
    files = [p for p in (tmp_path / 'whole').rglob('*') if p.is_file()]
    noticed = set()
    for number, file in enumerate(files):
        for damage in ('empty', 'cut', 'gone'):
            folder = tmp_path / f'{damage}{number}'
            shutil.copytree(tmp_path / 'whole', folder)
            victim = folder / file.relative_to(tmp_path / 'whole')
            if damage == 'gone':
                victim.unlink()
            else:
                whole = victim.read_bytes()
                victim.write_bytes(whole[:len(whole) // 2 if damage == 'cut' else 0])
            before = contents(folder)
            try:
                with checkpoint.Checkpoints(folder, CONFIG) as checkpoints:
                    got = checkpoints.restore(expected, 5)
            except InputError as error:
                message = str(error)
                noticed.add((damage, victim.relative_to(folder / '5').as_posix()))
            else:
                message = str(folder)
                assert_bit_equal(got.state, expected)
            assert str(folder) in message
            assert '\n' not in message
            assert contents(folder) == before
    for name in ('state/_METADATA', 'state/manifest.ocdbt', 'run/metadata'):
        assert {(damage, name) for damage in ('empty', 'cut', 'gone')} <= noticed
    gc.collect()  # here, where the complaints are expected


@pytest.mark.parametrize('inside', [{}, {'notes.txt': b'mine'}, {'state/x': b'1', 'run/m': b'2'}])
def test_a_folder_that_is_no_checkpoint_is_refused_and_left_alone(tmp_path, inside):
    saved(tmp_path, 2)
    for name, data in inside.items():
        (tmp_path / '9' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / '9' / name).write_bytes(data)
    (tmp_path / '9').mkdir(exist_ok=True)
    before = contents(tmp_path)
    with checkpoint.Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.latest_step() == 9
        with pytest.raises(InputError, match=r'/9 is damaged, half-written or no checkpoint'):
            checkpoints.restore(made_state())
    assert contents(tmp_path) == before
    assert (tmp_path / '9').is_dir()


def test_what_a_killed_process_left_is_passed_over(tmp_path):
    saved(tmp_path, 2, 4)
    shutil.copytree(tmp_path / '4', tmp_path / '6.orbax-checkpoint-tmp')
    shutil.copytree(tmp_path / '2', tmp_path / checkpoint.DELETED / '1')
    (tmp_path / checkpoint.DELETED / '1' / '_CHECKPOINT_METADATA').unlink()
    with checkpoint.Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.steps() == [2, 4]
        assert_bit_equal(checkpoints.restore(made_state()).state, made_state(4, seed=4))
        checkpoints.save(made_state(6), {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ['2', '4', '6']


def test_a_wrong_tree_is_answered_with_the_arrays(tmp_path):
    saved(tmp_path, 3)
    other = made_state(task=toy_tasks.convolution_task('group'))
    wide = made_state()
    wide.params['conv']['kernel'] = np.zeros((3, 3, 3, 5), np.float32)
    before = contents(tmp_path)
    with checkpoint.Checkpoints(tmp_path, CONFIG) as checkpoints:
        with pytest.raises(InputError, match='has model_state/batch_stats/norm/mean besides'):
            checkpoints.restore(other)
        with pytest.raises(
            InputError, match=r'params/conv/kernel is float32\(3, 3, 3, 4\), expected float32\(3, '
        ):
            checkpoints.restore(wide)
        with pytest.raises(InputError, match=r'no checkpoint of step 8; there are \[3\]'):
            checkpoints.restore(made_state(), 8)
    assert contents(tmp_path) == before


def test_the_checkpoint_of_another_config_is_refused(tmp_path):
    saved(tmp_path, 3)
    for changed, message in (
        ({'task': 'other', 'train': {'steps': 99}}, "task: 'toy' -> 'other'$"),
        ({'task': 'toy', 'model': {'width': 3}}, "model.width: 'absent' -> 3"),
    ):
        with checkpoint.Checkpoints(tmp_path, changed) as checkpoints:
            with pytest.raises(InputError, match=message):
                checkpoints.restore(made_state())


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, 'w'))


def test_no_code_in_a_file_is_run(tmp_path):
    saved(tmp_path / 'c', 3)
    bomb = pickle.dumps(Bomb(tmp_path / 'boom'))
    for file in [p for p in (tmp_path / 'c').rglob('*') if p.is_file()]:
        file.write_bytes(bomb)
    with pytest.raises(InputError):
        with checkpoint.Checkpoints(tmp_path / 'c', CONFIG) as checkpoints:
            checkpoints.restore(made_state(), 3)
    assert not (tmp_path / 'boom').exists()


@pytest.mark.parametrize('backend', parallel.BACKENDS)
def test_a_run_resumes_on_another_number_of_devices(tmp_path, backend):
    plan = {'parallel': backend, 'optimizer__name': 'sgd'}
    task, sources = toy_tasks.convolution_task('group'), toy_runs.toy_sources()

    def run(folder, steps, devices):
        train.run(
            toy_runs.config(train__steps=steps, **plan), folder, task=task, sources=sources,
            devices=jax.devices()[:devices],
        )
        made = toy_runs.config(**plan)
        parts = train.make_parts(made, task=task, sources=sources)
        target = train.make_state(made, parts, toy_tasks.image_batch(8))
        with train.open_checkpoints(made, folder) as checkpoints:
            return checkpoints.restore(target, steps).state

    straight = run(tmp_path / 'straight', 6, 8)
    run(tmp_path / 'moved', 3, 8)
    moved = run(tmp_path / 'moved', 6, 2)
    assert toy_tasks.relative_error(moved.params, straight.params) < 1e-6
    assert_bit_equal(moved.key, straight.key)


def test_a_folder_belongs_to_one_config(tmp_path):
    folder = tmp_path / 'run'
    mine = config.plain(toy_runs.config())
    workdir.check(folder, mine)
    workdir.claim(folder, mine)
    workdir.check(folder, config.plain(toy_runs.config(train__steps=99, checkpoint__keep=1)))
    other = config.plain(toy_runs.config(seed=4, optimizer__name='sgd'))
    with pytest.raises(
        InputError, match="another config: optimizer.name: 'adam' -> 'sgd'; seed: 0 -> 4;"
    ):
        workdir.check(folder, other)
    assert workdir.read_config(folder) == mine


@pytest.mark.parametrize('name', ['metrics.jsonl', 'result.json', 'checkpoints', 'tensorboard'])
def test_results_of_unknown_origin_are_not_touched(tmp_path, name):
    (tmp_path / name).write_text('mine')
    with pytest.raises(InputError, match=f'holds {name} but no config.json'):
        train.run(
            toy_runs.config(), tmp_path, task=toy_runs.task(), sources=toy_runs.toy_sources()
        )
    assert contents(tmp_path) == {name: b'mine'}


@pytest.mark.parametrize('text', ['', '[]', '{"task": ', '\x00\x01'])
def test_a_damaged_config_is_refused(tmp_path, text):
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(InputError, match='config.json'):
        workdir.check(tmp_path, CONFIG)
    assert (tmp_path / 'config.json').read_text() == text


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / 'run').write_text('')
    with pytest.raises(InputError, match='is a file'):
        workdir.check(tmp_path / 'run', CONFIG)

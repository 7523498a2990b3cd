"""The train loop: resumed equals uninterrupted, bad steps stop it, exact evaluation, SIGTERM."""

import functools
import json
import os
import pathlib
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import toy_runs, toy_tasks
from vision_jax import train
from vision_jax.core import checkpoint, loop, parallel, step
from vision_jax.core.errors import InputError
from vision_jax.data import pipeline


class Interrupted(Exception):
    """Stands for whatever ends a process between two steps."""


def run(folder, config=None, **options):
    """A toy run."""
    config = config or toy_runs.config()
    options = {'task': toy_runs.task(), 'sources': toy_runs.toy_sources(), **options}
    return train.run(config, folder, **options)


def final_state(folder, number: int = 10):
    """The arrays of a checkpoint."""
    made = toy_runs.config()
    parts = train.make_parts(made, task=toy_runs.task(), sources=toy_runs.toy_sources())
    target = train.make_state(made, parts, toy_tasks.image_batch(8))
    with train.open_checkpoints(made, folder) as checkpoints:
        return checkpoints.restore(target, number)


def rows(folder: pathlib.Path) -> list[dict]:
    """The log without what depends on the clock."""
    read = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != 'steps_per_second'} for row in read]


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp('straight')
    result = run(folder)
    return folder, result


def assert_same_run(folder, straight) -> None:
    """Checkpoint, log and result equal those of the uninterrupted run."""
    got, expected = final_state(folder), final_state(straight)
    assert got.run == expected.run
    for a, b in zip(jax.tree.leaves(got.state), jax.tree.leaves(expected.state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert rows(folder) == rows(straight)
    ends = [json.loads((f / 'result.json').read_text()) for f in (folder, straight)]
    assert ends[0]['evaluation'] == ends[1]['evaluation']


def test_the_result_is_complete(straight):
    folder, result = straight
    assert result['finished']
    assert result['step'] == 10
    written = json.loads((folder / 'result.json').read_text())
    assert written['evaluation'] == result['evaluation']
    logged = rows(folder)
    assert [(row['step'], row['kind']) for row in logged] == [
        (3, 'train'), (5, 'eval'), (6, 'train'), (9, 'train'), (10, 'train'), (10, 'eval'),
    ]
    assert logged[0]['learning_rate'] == pytest.approx(0.05)
    assert list((folder / 'tensorboard').glob('events*'))
    assert not list(folder.rglob('*.tmp'))


@pytest.mark.parametrize('last', [1, 2, 5, 9])
def test_a_run_that_broke_off_resumes_bit_equal(tmp_path, straight, last):
    def on_step(done):
        if done == last:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(tmp_path, on_step=on_step)
    assert not (tmp_path / 'result.json').exists()
    assert run(tmp_path)['finished']
    assert_same_run(tmp_path, straight[0])


@pytest.mark.parametrize('last', [1, 4, 5, 10])
def test_sigterm_saves_and_the_run_goes_on(tmp_path, straight, last):
    before = signal.getsignal(signal.SIGTERM)

    def on_step(done):
        if done == max(last - 1, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    result = run(tmp_path, on_step=on_step)
    stopped = result['step']
    assert not result['finished']
    assert stopped in (last, last + 1)
    assert final_state(tmp_path, stopped).state.step == stopped
    assert not (tmp_path / 'result.json').exists()
    assert signal.getsignal(signal.SIGTERM) is before
    assert run(tmp_path)['finished']
    assert_same_run(tmp_path, straight[0])


def test_a_finished_run_is_left_as_it_is(tmp_path, straight):
    run(tmp_path)
    again = run(tmp_path)
    assert again['finished']
    assert again['step'] == 10
    assert_same_run(tmp_path, straight[0])


def test_a_run_can_be_prolonged_but_not_shortened(tmp_path):
    run(tmp_path, toy_runs.config(train__steps=4))
    with pytest.raises(InputError, match='at step 4 already, beyond config.train.steps=2'):
        run(tmp_path, toy_runs.config(train__steps=2))
    assert run(tmp_path, toy_runs.config(train__steps=6))['step'] == 6


def exploding(field: str, at: int):
    """The toy task, one of whose figures is NaN at a step that the running statistics tell."""
    task = toy_runs.task()

    def init(key, batch):
        params, model_state = task.init(key, batch)
        return params, {**model_state, 'calls': {'count': jnp.zeros((), jnp.int32)}}

    def loss(params, model_state, batch, key, train):
        model_state = dict(model_state)
        count = model_state.pop('calls')['count'] + 1
        value, (model_state, sums) = task.loss(params, model_state, batch, key, train)
        bad = jnp.where(train & (count == at), jnp.nan, 0.0)
        if field == 'grad_norm':
            value = value + bad * params['head']['bias'][0]
            sums = {**sums, 'loss': (jnp.ones(()), jnp.ones(()))}
        else:
            total, examples = sums[field]
            sums = {**sums, field: (total + bad, examples)}
        return value, ({**model_state, 'calls': {'count': count}}, sums)

    def predict(params, model_state, batch):
        return task.predict(params, {'batch_stats': model_state['batch_stats']}, batch)

    return task._replace(init=init, loss=loss, predict=predict)


@pytest.mark.parametrize('field', ['loss', 'absolute_error', 'grad_norm'])
@pytest.mark.parametrize('at', [4, 5])
def test_a_step_that_is_not_finite_stops_the_run(tmp_path, field, at):
    with pytest.raises(InputError, match=f'step {at}: .*{field} is nan.*last checkpoint is step '):
        run(tmp_path, task=exploding(field, at))
    with checkpoint.Checkpoints(tmp_path / 'checkpoints', {}) as checkpoints:
        assert checkpoints.steps() == ([2] if at == 4 else [2, 4])
    assert not [row for row in rows(tmp_path) if row['step'] >= at]
    assert not (tmp_path / 'result.json').exists()


def test_an_evaluation_that_is_not_finite_is_not_saved(tmp_path):
    sources = toy_runs.toy_sources()
    labels = sources['test'].column('quality').copy()
    labels[3] = np.nan
    broken = toy_runs.sources.Relabelled(sources['test'], 'quality', labels)
    with pytest.raises(InputError, match="step 5: the evaluation's .*loss"):
        run(tmp_path, sources={**sources, 'test': broken})
    with checkpoint.Checkpoints(tmp_path / 'checkpoints', {}) as checkpoints:
        assert checkpoints.steps() == [2, 4]


class Sums:
    """A step's figure that notes when the host waits for it."""

    def __init__(self, events, step):
        self.events, self.step = events, step

    def __array__(self, dtype=None, copy=None):
        self.events.append(f'read {self.step}')
        return np.asarray(1.0, dtype)


class Unsaved:
    """Stands for the checkpoints of a loop that saves none."""

    def wait(self):
        """Nothing to wait for."""


def test_a_step_is_read_while_the_next_one_runs():
    events = []

    def step_function(state, batch, key):
        events.append(f'run {state + 1}')
        return state + 1, {'loss': (Sums(events, state + 1), 1.0)}

    schedule = loop.Schedule(steps=4, log_every=100, eval_every=0, checkpoint_every=0)
    batches = ((None, {'batches': n}) for n in range(100))
    end = loop.Loop(step_function, schedule, Unsaved()).run(loop.Begin(0, None), batches)
    assert end.step == 4
    order = list(dict.fromkeys(events))
    assert order[:6] == ['run 1', 'run 2', 'read 1', 'run 3', 'read 2', 'run 4']


@pytest.mark.parametrize('backend', parallel.BACKENDS)
def test_evaluators_see_every_example_once(tmp_path, backend):
    seen = {}

    def evaluator(outputs):
        seen.update(outputs)
        return {'count': len(outputs['quality'])}

    made, sources = toy_runs.config(parallel=backend), toy_runs.toy_sources()
    task = toy_runs.task()
    parts = train.make_parts(made, task=task, sources=sources)
    state = train.make_state(made, parts, toy_tasks.image_batch(8))
    placed = parallel.replicate(state, parts.layout)
    build = functools.partial(step.build_eval_step, task)
    found = loop.evaluate(
        placed, pipeline.eval_batches(sources['test'], made.data),
        parallel.eval_step(build, parts.layout), parts.layout, {'mine': evaluator},
    )
    test = sources['test']
    images = np.float32([test[i]['image'] for i in range(len(test))]) / 255
    quality = task.predict(state.params, state.model_state, {'image': images})['quality']
    assert found['mine/count'] == 13
    np.testing.assert_array_equal(seen['label/quality'], test.column('quality'))
    np.testing.assert_array_equal(seen['label/distortion'], test.column('distortion'))
    np.testing.assert_allclose(seen['quality'], quality, rtol=1e-5, atol=1e-6)
    squared = np.square(np.float64(quality) - test.column('quality')).mean()
    assert found['squared_error'] == pytest.approx(squared, rel=1e-5)
    assert set(seen) == {'quality', 'label/quality', 'label/distortion'}


def test_the_best_evaluation_is_kept_and_can_be_evaluated_again(tmp_path):
    made = toy_runs.config(
        train__steps=12, train__eval_every=2, train__checkpoint_every=12, checkpoint__keep=1,
        checkpoint__best_metric='loss', checkpoint__best_mode='min', evaluators=('correlation',),
    )
    result = run(tmp_path, made)
    losses = {row['step']: row['loss'] for row in rows(tmp_path) if row['kind'] == 'eval'}
    best = min(losses, key=losses.get)
    assert result['best']['step'] == best
    found = train.evaluate(
        made, tmp_path, checkpoint='best', task=toy_runs.task(), sources=toy_runs.toy_sources()
    )
    assert found['step'] == best
    assert found['evaluation']['loss'] == losses[best]
    assert found['evaluation']['correlation/examples'] == 13


def test_an_unknown_best_metric_is_answered_with_the_nearest(tmp_path):
    made = toy_runs.config(checkpoint__best_metric='squared_eror')
    with pytest.raises(InputError, match="'squared_eror'; did you mean 'squared_error'"):
        run(tmp_path, made)

"""A run, from a config to its result; the command lines, the tests and the notebooks call this.

    result = train.run(config, 'runs/mine')
    figures = train.evaluate(config, 'runs/mine')
"""

import functools
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import optax
from flax import traverse_util

from vision_jax import data, evaluators, tasks
from vision_jax.core import config as config_lib
from vision_jax.core import loop, optim, parallel, rng, workdir, writers
from vision_jax.core import state as state_lib
from vision_jax.core import step as step_lib
from vision_jax.core.checkpoint import Checkpoints
from vision_jax.core.errors import InputError
from vision_jax.core.precision import with_compute_dtype
from vision_jax.core.stopping import StopSignal
from vision_jax.core.task import Batch, Task
from vision_jax.data import pipeline
from vision_jax.weights.published import with_published_weights

Sources = dict[str, Any]


def run(
    config,
    folder: str | pathlib.Path,
    *,
    task: Task | None = None,
    sources: Sources | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_step: Callable[[int], None] = lambda step: None,
) -> dict[str, Any]:
    """Trains, or goes on training where an earlier run in the same folder stopped.

    Args:
        config: An experiment's config (`configs/base.py` lists the keys).
        folder: Where everything of the run is written (`core/workdir.py`); the same for all
            processes, on a file system that they share.
        task: Takes the place of the one that the config names.
        sources: `{'train': ..., 'test': ...}` in place of the data set that the config names.
        devices: Devices to use; by default all.
        on_step: Called with the number of each step that is done and found good.

    Returns:
        `step`, `finished` (False after SIGTERM: the same call goes on), `evaluation` (the last),
        `best` (`step` and `evaluation`, or None) and `seconds`. Once finished, also in
        `result.json`.

    Raises:
        InputError: On anything in the config, the folder or the data that a person can correct,
            and on a step that is not finite. Nothing of an earlier run is then overwritten.
    """
    begun, folder = time.time(), pathlib.Path(folder).absolute()
    config_lib.check(config)
    workdir.check(folder, config_lib.plain(config))
    parts = make_parts(config, task=task, sources=sources, devices=devices)
    batches = pipeline.train_iterator(
        parts.sources['train'], config.data, seed=config.seed, **_share()
    )
    with open_checkpoints(config, folder) as checkpoints:
        begin = make_begin(config, parts, batches, checkpoints)
        if jax.process_index() == 0:
            workdir.claim(folder, config_lib.plain(config))
        end = _train(config, folder, parts, begin, batches, checkpoints, on_step)
        result = _result(end, checkpoints, seconds=time.time() - begun)
    if end.finished and jax.process_index() == 0:
        workdir.write_json(folder / workdir.RESULT, writers.finite_json(result))
    return result


def evaluate(
    config,
    folder: str | pathlib.Path,
    *,
    checkpoint: str | int = 'latest',
    task: Task | None = None,
    sources: Sources | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> dict[str, Any]:
    """Evaluates a checkpoint of a run; writes nothing.

    Args:
        config: The run's config. Its `data` may be other data, and what may change when a run
            resumes may differ (`workdir.MAY_CHANGE`).
        folder: The run's folder.
        checkpoint: 'latest', 'best' or a step.
        task: As in `run`.
        sources: As in `run`; only `test` is used.
        devices: As in `run`.

    Returns:
        `step` and `evaluation`.

    Raises:
        InputError: As `run` does, and if there is no such checkpoint.
    """
    folder = pathlib.Path(folder).absolute()
    config_lib.check(config)
    trained = {**config_lib.plain(config), 'data': workdir.read_config(folder)['data']}
    workdir.check(folder, trained)
    parts = make_parts(config, task=task, sources=sources, devices=devices)
    batch = next(iter(_eval_batches(config, parts.sources)))
    with open_checkpoints(config, folder, trained=trained) as checkpoints:
        step = _choose(checkpoints, checkpoint)
        target = jax.eval_shape(lambda: make_state(config, parts, batch))
        state = parallel.replicate(checkpoints.restore(target, step).state, parts.layout)
    return {'step': step, 'evaluation': parts.evaluate(state)}


class Parts(NamedTuple):
    """What a config describes, made.

    Attributes:
        layout: The devices.
        task: The problem.
        sources: `train` and `test`.
        optimizer: For the trainable parameters.
        train_step: Compiled when first called.
        evaluate: `state -> metrics`.
    """

    layout: parallel.Layout
    task: Task
    sources: Sources
    optimizer: optax.GradientTransformation
    train_step: Callable
    evaluate: loop.Evaluate


def make_parts(
    config,
    *,
    task: Task | None = None,
    sources: Sources | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Parts:
    """Makes what a config describes, the cheap parts first; arguments as in `run`."""
    layout = parallel.make_layout(config.parallel, devices=devices)
    check_batch_sizes(config, layout)
    optimizer = optim.make_optimizer(config.optimizer, steps=config.train.steps)
    scores = {name: evaluators.get(name) for name in config.evaluators}
    task = with_compute_dtype(task, config.train.compute_dtype) if task else tasks.make(config)
    sources = sources or load_sources(config)
    train_step = functools.partial(
        step_lib.build_train_step, task, optimizer, accumulate=config.train.accumulate,
        ema_decay=config.train.ema_decay, freeze=config.optimizer.freeze,
    )
    eval_step = parallel.eval_step(functools.partial(step_lib.build_eval_step, task), layout)

    def evaluate_state(state):
        return loop.evaluate(state, _eval_batches(config, sources), eval_step, layout, scores)

    return Parts(
        layout, task, sources, optimizer, parallel.train_step(train_step, layout), evaluate_state
    )


def check_batch_sizes(config, layout: parallel.Layout) -> None:
    """Raises `InputError` unless the batch sizes divide over the devices."""
    for key in ('batch_size', 'eval_batch_size'):
        size, devices = config.data.get(key, 0), layout.num_devices
        if size % devices:
            raise InputError(f'config.data.{key}={size} does not divide over {devices} devices; '
                             f'choose a multiple of {devices}')


def load_sources(config) -> Sources:
    """The two sources of the data set that a config names."""
    return {
        'train': data.load(config.data, config.data.train_split),
        'test': data.load(config.data, config.data.test_split),
    }


def make_begin(config, parts: Parts, batches, checkpoints: Checkpoints) -> loop.Begin:
    """Where a run begins: at its newest checkpoint, or with initial weights.

    `batches`, which are at their start, are put at that position.
    """
    batch = next(batches)
    batches.set_state({'batches': 0})
    key = parallel.replicate(rng.run_key(config.seed), parts.layout)
    step = checkpoints.latest_step()
    if step is None:
        state = make_state(
            config, parts, batch, variables=initial_weights(config, parts.task, batch))
        return loop.Begin(parallel.replicate(state, parts.layout), key)
    if step > config.train.steps:
        raise InputError(f'the run is at step {step} already, beyond '
                         f'config.train.steps={config.train.steps}')
    target = jax.eval_shape(lambda: make_state(config, parts, batch))
    state, saved = checkpoints.restore(target, step)
    batches.set_state(saved['position'])
    return loop.Begin(
        parallel.replicate(state, parts.layout), key, step, saved['totals'],
        checkpoints.metrics(step),
    )


def make_state(
    config, parts: Parts, batch: Batch, *, variables: dict[str, Any] | None = None
) -> state_lib.TrainState:
    """The state before the first step."""
    return state_lib.create(
        parts.task, parts.optimizer, batch, rng.run_key(config.seed),
        ema=config.train.ema_decay > 0, freeze=config.optimizer.freeze, variables=variables,
    )


def initial_weights(config, task: Task, batch: Batch) -> dict[str, Any] | None:
    """The variables that the file `config.weights.path` fills, or `None` without one."""
    options = dict(config.weights)
    path = options.pop('path')
    if not path:
        return None
    params, model_state = jax.eval_shape(task.init, rng.as_key(rng.run_key(config.seed)), batch)
    filled = with_published_weights({'params': params, **model_state}, path, **options)
    return traverse_util.unflatten_dict({
        name: leaf for name, leaf in traverse_util.flatten_dict(filled).items()
        if not isinstance(leaf, jax.ShapeDtypeStruct)
    })


def open_checkpoints(
    config, folder: pathlib.Path, *, trained: dict[str, Any] | None = None
) -> Checkpoints:
    """The checkpoints below a run's folder; `trained` is their config if it is another."""
    return Checkpoints(
        folder / workdir.CHECKPOINTS, trained or config_lib.plain(config), **config.checkpoint
    )


def _train(
    config, folder, parts: Parts, begin: loop.Begin, batches, checkpoints: Checkpoints, on_step
) -> loop.End:
    """Runs the loop with its logs, and closes them."""
    schedule = {name: config.train[name] for name in loop.Schedule._fields}
    logs, progress = (), None
    if jax.process_index() == 0:
        progress = writers.Progress(config.train.steps, step=begin.step)
        logs = (writers.MetricWriter(folder, step=begin.step), progress)

    def done(step: int) -> None:
        if progress is not None:
            progress.advance(step)
        on_step(step)

    place = functools.partial(parallel.place_batch, layout=parts.layout)
    trainer = loop.Loop(
        parts.train_step, loop.Schedule(**schedule), checkpoints, writers=logs,
        evaluate=parts.evaluate, best_metric=config.checkpoint.best_metric,
        learning_rate=optim.make_schedule(config.optimizer, steps=config.train.steps),
        on_step=done,
    )
    try:
        with StopSignal() as stop:
            placed = pipeline.prefetch_to_device(batches, place, size=config.data.prefetch)
            return trainer.run(begin, placed, stop)
    finally:
        batches.close()
        for log in logs:
            log.close()


def _result(end: loop.End, checkpoints: Checkpoints, *, seconds: float) -> dict[str, Any]:
    best = checkpoints.best_step()
    return {
        'step': end.step,
        'finished': end.finished,
        'evaluation': end.evaluation,
        'best': None if best is None else {'step': best, 'evaluation': checkpoints.metrics(best)},
        'seconds': round(seconds, 3),
    }


def _choose(checkpoints: Checkpoints, which: str | int) -> int:
    """The step of 'latest', 'best' or a number."""
    named = {'latest': checkpoints.latest_step, 'best': checkpoints.best_step}
    step = named[which]() if which in named else which
    try:
        return int(step)
    except (TypeError, ValueError):
        raise InputError(f"no checkpoint '{which}': expected latest, best (of "
                         f'config.checkpoint.best_metric) or one of {checkpoints.steps()}'
                         ) from None


def _eval_batches(config, sources: Sources):
    return pipeline.eval_batches(sources['test'], config.data, seed=config.seed, **_share())


def _share() -> dict[str, int]:
    """Which part of each batch this process reads."""
    return {'process_index': jax.process_index(), 'process_count': jax.process_count()}

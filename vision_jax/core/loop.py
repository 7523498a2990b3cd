"""The train loop and the evaluation loop of all tasks."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from vision_jax.core import metrics, parallel
from vision_jax.core.checkpoint import Checkpoints
from vision_jax.core.errors import InputError, nearest
from vision_jax.core.precision import INPUT_FIELDS
from vision_jax.core.state import TrainState
from vision_jax.core.stopping import StopSignal

Evaluate = Callable[[TrainState], dict[str, float]]


class Schedule(NamedTuple):
    """When things are done, in steps; 0 is never, but for the last step."""

    steps: int
    log_every: int
    eval_every: int
    checkpoint_every: int

    def due(self, every: int, step: int) -> bool:
        """Whether something done every so many steps is to be done after this one."""
        return every > 0 and (step % every == 0 or step == self.steps)


class Begin(NamedTuple):
    """Where a run begins or resumes.

    Attributes:
        state: On the devices; consumed.
        key: The run's key, on the devices.
        step: Steps done.
        totals: Sums and counts since the last row of the log.
        evaluation: That of this very state, or empty.
    """

    state: TrainState
    key: jax.Array
    step: int = 0
    totals: metrics.Totals | None = None
    evaluation: Mapping[str, float] | None = None


class End(NamedTuple):
    """How a run ended.

    Attributes:
        state: The last one, on the devices.
        step: Steps done.
        finished: False if it was asked to stop before.
        evaluation: The last one.
    """

    state: TrainState
    step: int
    finished: bool
    evaluation: dict[str, float]


class _Pending(NamedTuple):
    step: int
    sums: dict[str, Any]


class Loop:
    """Trains until the last step, a stop signal, or a step that went wrong.

    Args:
        step_function: `(state, batch, key) -> (state, sums)`, compiled.
        schedule: When things are done.
        checkpoints: Where states are saved.
        writers: Each has `write(step, kind, values)`, or none.
        evaluate: `state -> metrics`, or `None`.
        best_metric: A metric of the evaluation that each evaluated state is saved with.
        learning_rate: `step -> rate`, for the log.
        on_step: Called with each step that is known to be good.
    """

    def __init__(
        self,
        step_function: Callable,
        schedule: Schedule,
        checkpoints: Checkpoints,
        *,
        writers: tuple = (),
        evaluate: Evaluate | None = None,
        best_metric: str = '',
        learning_rate: Callable[[int], Any] | None = None,
        on_step: Callable[[int], None] = lambda step: None,
    ):
        self._step_function, self._schedule = step_function, schedule
        self._checkpoints = checkpoints
        self._writers, self._evaluate, self._best_metric = writers, evaluate, best_metric
        self._learning_rate, self._on_step = learning_rate, on_step
        self._totals: metrics.Totals = {}
        self._logged = (0, 0.0)

    def run(
        self, begin: Begin, batches: Iterator[tuple[Any, Any]], stop: StopSignal | None = None
    ) -> End:
        """Goes from `begin` to the end.

        Args:
            begin: The start; its state is consumed.
            batches: Pairs of a placed batch and the data's position after it.
            stop: Tells when to stop early; entered by the caller.

        Raises:
            InputError: On a step whose loss, gradient or other metric is not finite. It is not
                saved, nor is any step after it.
        """
        state, step, pending, stopping = begin.state, begin.step, None, False
        evaluation = dict(begin.evaluation or {})
        self._totals, self._logged = dict(begin.totals or {}), (begin.step, time.monotonic())
        if step and not evaluation and self._schedule.due(self._schedule.eval_every, step):
            evaluation = self._evaluated(state, step)  # what a stop signal left out
        for step, (batch, position) in zip(
            range(begin.step + 1, self._schedule.steps + 1), batches, strict=False
        ):
            # The step before is read while this one runs: the device never waits for the host.
            state, sums = self._step_function(state, batch, begin.key)
            self._confirm(pending)
            pending = _Pending(step, sums)
            stopping = stop is not None and stop.asked(step)
            if not (stopping or self._is_event(step)):
                continue
            self._confirm(pending)
            pending = None
            evaluation = self._at_event(state, step, position, stopping) or evaluation
            if stopping:
                break
        self._checkpoints.wait()
        return End(state, step, not stopping, evaluation)

    def _is_event(self, step: int) -> bool:
        plan = self._schedule
        return plan.due(plan.eval_every, step) or plan.due(plan.checkpoint_every, step)

    def _at_event(self, state, step: int, position, stopping: bool) -> dict[str, float]:
        """Evaluates and saves where it is time to; returns the evaluation or {}."""
        plan, evaluation = self._schedule, {}
        # A stop is often followed by the end of the machine: save now, evaluate when resumed.
        if plan.due(plan.eval_every, step) and not stopping:
            evaluation = self._evaluated(state, step)
        is_candidate = bool(evaluation and self._best_metric)
        if stopping or is_candidate or plan.due(plan.checkpoint_every, step):
            run = {'position': position, 'totals': self._totals}
            self._checkpoints.save(state, run, evaluation)
        return evaluation

    def _confirm(self, pending: _Pending | None) -> None:
        """Waits for a step and checks, sums and logs what came of it."""
        if pending is None:
            return
        step, sums = pending.step, metrics.to_host(pending.sums)
        wrong = metrics.nonfinite(sums)
        if wrong:
            self._checkpoints.wait()
            last = self._checkpoints.latest_step()
            values = ', '.join(f'{name} is {metrics.means(sums)[name]:g}' for name in wrong)
            raise InputError(f'step {step}: {values}; stopped, the last checkpoint is step {last}; '
                             'lower the learning rate, set optimizer.clip_norm, or look at the '
                             'data')
        self._totals = metrics.merge(self._totals, sums)
        if step % self._schedule.log_every == 0 or step == self._schedule.steps:
            self._log(step)
        self._on_step(step)

    def _log(self, step: int) -> None:
        values = metrics.means(self._totals)
        before, begin = self._logged
        self._logged, self._totals = (step, time.monotonic()), {}
        values['steps_per_second'] = (step - before) / max(self._logged[1] - begin, 1e-9)
        if self._learning_rate is not None:
            values['learning_rate'] = float(self._learning_rate(step - 1))
        self._write(step, 'train', values)

    def _write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.write(step, kind, values)

    def _evaluated(self, state: TrainState, step: int) -> dict[str, float]:
        if self._evaluate is None:
            return {}
        evaluation = self._evaluate(state)
        if self._best_metric and self._best_metric not in evaluation:
            raise InputError(f"config.checkpoint.best_metric: no metric '{self._best_metric}'"
                             f'{nearest(self._best_metric, evaluation)}')
        self._write(step, 'eval', evaluation)
        return evaluation


def evaluate(
    state: TrainState,
    batches: Iterator[dict[str, Any]],
    step_function: Callable,
    layout: parallel.Layout,
    evaluators: Mapping[str, Callable[[dict[str, np.ndarray]], dict[str, float]]],
) -> dict[str, float]:
    """Evaluates a state on a whole data set, exactly.

    Args:
        state: On the devices.
        batches: Host batches of this process, equally many in all processes; a `mask` of 0 marks
            padding.
        step_function: `(state, batch) -> (sums, outputs)`, compiled.
        layout: The devices.
        evaluators: By name, functions of all real rows of the data set: the task's outputs under
            their names, and the batch's numbers (of the query, in episodes) as `label/<name>`.

    Returns:
        Means of the task's sums, and `<evaluator>/<metric>`.

    Raises:
        InputError: If a sum is not finite.
    """
    totals, rows = {}, []
    for batch in batches:
        sums, outputs = step_function(state, parallel.place_batch(batch, layout))
        totals = metrics.merge(totals, metrics.to_host(sums))
        if evaluators:
            rows.append(_real_rows(parallel.gather({**outputs, **_labels(batch)}, layout)))
    wrong = metrics.nonfinite(totals)
    if wrong:
        raise InputError(f"step {int(state.step)}: the evaluation's {', '.join(wrong)} is not "
                         'finite; stopped, and this step is not saved')
    result = metrics.means(totals)
    if evaluators:
        outputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        for name, function in evaluators.items():
            found = function(outputs)
            result.update({f'{name}/{metric}': float(value) for metric, value in found.items()})
    return result


def _labels(batch: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a batch holds besides the network's input and the mask."""
    fields = batch.get('query', batch)
    left_out = (*INPUT_FIELDS, 'mask')
    return {f'label/{name}': value for name, value in fields.items() if name not in left_out}


def _real_rows(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows that are no padding, without the mask."""
    keep = outputs.pop('mask') > 0
    return {name: values[keep] for name, values in outputs.items()}

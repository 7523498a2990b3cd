"""Checkpoints by Orbax: what a run needs to go on as if it had never stopped.

A checkpoint appears under its name only when it is complete, so that a process may be killed at any
moment. It holds arrays and JSON; reading one runs no code from it. Arrays are kept as host arrays,
apart from any number of devices.
"""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from flax import traverse_util
from orbax.checkpoint import checkpoint_managers as policies

from vision_jax.core import paths, workdir
from vision_jax.core.errors import InputError
from vision_jax.core.state import TrainState

STATE, RUN = 'state', 'run'
DELETED = 'deleted'  # a folder is renamed into this one before it is emptied
MOST_LISTED = 5


class Restored(NamedTuple):
    """A checkpoint.

    Attributes:
        state: Host arrays in the structure of a `TrainState`.
        run: What was saved beside it: JSON.
    """

    state: TrainState
    run: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, written in the background.

    Args:
        folder: Made when the first one is saved.
        config: The run's config, in plain form; goes into each checkpoint.
        keep: How many of the newest to keep.
        best_metric: The evaluation's metric whose best checkpoint is kept besides; '' for none.
        best_mode: 'max' or 'min'.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        config: Mapping[str, Any],
        *,
        keep: int = 3,
        best_metric: str = '',
        best_mode: str = 'max',
    ):
        self._folder, self._config = folder.absolute(), dict(config)
        self._best_metric, self._best_mode = best_metric, best_mode
        kept = [policies.LatestN(keep)]
        if best_metric:
            kept.append(policies.BestN(
                get_metric_fn=self._rank, n=1, keep_checkpoints_without_metrics=False
            ))
        self._policy = policies.AnyPreservationPolicy(kept)
        self._manager = self._open() if self._folder.is_dir() else None

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps of all complete checkpoints, in order."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def latest_step(self) -> int | None:
        """The newest checkpoint, or `None`."""
        return max(self.steps(), default=None)

    def best_step(self) -> int | None:
        """The checkpoint with the best evaluation, or `None` where none has the metric."""
        ranks = {step: self._rank(self.metrics(step)) for step in self.steps()}
        ranks = {step: rank for step, rank in ranks.items() if rank > -np.inf}
        return max(ranks, key=lambda step: (ranks[step], step), default=None)

    def metrics(self, step: int) -> dict[str, float]:
        """The evaluation that was saved with a checkpoint; empty if there was none."""
        return dict(self._manager.metrics(step) or {})

    def save(
        self, state: TrainState, run: Mapping[str, Any], metrics: Mapping[str, float] | None = None
    ) -> None:
        """Saves a state; returns when its arrays are copied and writes in the background.

        Args:
            state: The state after a step that is known to be good; each process has all of it.
            run: What to save beside it, as JSON holds it.
            metrics: The evaluation of this very state, if there was one.
        """
        self._manager = self._manager or self._open()
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self.wait()
        self._clear_deleted()
        # A copy: the next step writes into the buffers that a view on CPU would share.
        host = jax.tree.map(lambda x: np.array(x, copy=True), state)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeSave(_named(host)),
                run=ocp.args.JsonSave({**run, 'config': self._config}),
            ),
            metrics=dict(metrics or {}),
            force=True,
        )

    def restore(self, target: TrainState, step: int | None = None) -> Restored:
        """Reads a checkpoint.

        Args:
            target: A state of the wanted structure and shapes; values are not read.
            step: Which one; the newest by default.

        Raises:
            InputError: If there is no such checkpoint, it is damaged or half-written, it was
                written with another config, or its arrays do not fit the model.
        """
        step = self.latest_step() if step is None else step
        if step not in self.steps():
            raise InputError(f'{self._folder} has no checkpoint of step {step}; '
                             f'there are {self.steps() or "none"}')
        where = self._folder / str(step)
        run = self._read(where, step, run=ocp.args.JsonRestore())
        if not isinstance(run, dict) or 'config' not in run:
            raise InputError(f'{where} was not written by this library; move it away')
        differing = workdir.differences(run['config'], self._config)
        if differing:
            raise InputError(f'{where} belongs to another config: {"; ".join(differing)}')
        tree = self._tree(where, step)
        _check_fits(where, tree, target)
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        arrays = self._read(where, step, state=ocp.args.PyTreeRestore(restore_args=as_numpy))
        return Restored(_filled(target, arrays), run)

    def wait(self) -> None:
        """Waits until what was saved is complete."""
        if self._manager:
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Completes what was saved, and removes what is to be removed."""
        if self._manager:
            self._manager.close()
            self._clear_deleted()
            self._manager = None

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            create=True, cleanup_tmp_directories=True, preservation_policy=self._policy,
            best_fn=self._rank,  # without it Orbax does not write metrics
            # A folder that is being emptied must not bear a checkpoint's name.
            todelete_subdir=DELETED,
        )
        handlers = {STATE: ocp.PyTreeCheckpointHandler(), RUN: ocp.JsonCheckpointHandler()}
        with _refusing_damage(self._folder):
            return ocp.CheckpointManager(self._folder, options=options, item_handlers=handlers)

    def _rank(self, metrics: Mapping[str, float]) -> float:
        """Greater is better; NaN or no metric is worst."""
        value = metrics.get(self._best_metric)
        if value is None or np.isnan(value):
            return -np.inf
        return value if self._best_mode == 'max' else -value

    def _tree(self, where: pathlib.Path, step: int) -> Any:
        """Shapes and dtypes of a checkpoint's arrays."""
        with _refusing_damage(where):
            metadata = self._manager.item_metadata(step)[STATE]
            if metadata is None:
                raise FileNotFoundError('it has no description of its arrays')
            return metadata.tree

    def _read(self, where: pathlib.Path, step: int, **item: Any) -> Any:
        (name,) = item
        with _refusing_damage(where):
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]

    def _clear_deleted(self) -> None:
        if jax.process_index() == 0:
            shutil.rmtree(self._folder / DELETED, ignore_errors=True)


@contextlib.contextmanager
def _refusing_damage(where: pathlib.Path) -> Iterator[None]:
    """Turns whatever Orbax raises or logs on reading into one `InputError`."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    except Exception as error:  # Orbax has no error of its own for damage
        detail = ' '.join(str(error).split())[:120]
        raise InputError(f'{where} is damaged, half-written or no checkpoint '
                         f'({type(error).__name__}: {detail}); move it away to use an earlier one'
                         ) from error
    finally:
        logging.set_verbosity(verbosity)


def _named(state: TrainState) -> dict[str, Any]:
    """The leaves of a state as nested dicts, whatever classes held them."""
    names, leaves, _ = paths.flatten(state)
    return traverse_util.unflatten_dict(dict(zip(names, leaves, strict=True)), sep='/')


def _filled(target: TrainState, arrays: dict[str, Any]) -> TrainState:
    """The structure of `target` with the arrays of the same names."""
    names, leaves, _ = paths.flatten(arrays)
    by_name = dict(zip(names, leaves, strict=True))
    names, _, structure = paths.flatten(target)
    return jax.tree.unflatten(structure, [by_name[name] for name in names])


def _check_fits(where: pathlib.Path, tree: Any, target: TrainState) -> None:
    """Raises `InputError`, listing the arrays, where a checkpoint's tree is not the target's."""
    names, leaves, _ = paths.flatten(tree)
    found = {n: (tuple(x.shape), np.dtype(x.dtype)) for n, x in zip(names, leaves, strict=True)}
    names, leaves, _ = paths.flatten(target)
    wanted = {n: (tuple(x.shape), np.dtype(x.dtype)) for n, x in zip(names, leaves, strict=True)}
    wrong = [f'lacks {name}' for name in wanted if name not in found]
    wrong += [f'has {name} besides' for name in found if name not in wanted]
    wrong += [
        f'{name} is {found[name][1]}{found[name][0]}, expected {wanted[name][1]}{wanted[name][0]}'
        for name in wanted if name in found and found[name] != wanted[name]
    ]
    if wrong:
        more = f' and {len(wrong) - MOST_LISTED} more' if len(wrong) > MOST_LISTED else ''
        raise InputError(f'{where} does not fit the model: {"; ".join(wrong[:MOST_LISTED])}{more}; '
                         'use the config that it was trained with')

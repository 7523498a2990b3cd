"""The comparison: train every method on every split and seed, adapt on K labels, correlate.

For an unseen distortion, K labelled images come from the training photographs; the score is the
SROCC on all its images of the test photographs. Nothing of the test photographs and nothing of
the test distortions is used before. All runs of a method are one program: the engine's train step
under `lax.scan` over steps and `vmap` over runs.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import rankdata

from vision_jax import catalog
from vision_jax.core import optim, state
from vision_jax.core.step import build_train_step
from vision_jax.core.task import Task
from vision_jax.few_shot import sampling
from vision_jax.few_shot.table import Split, Table, rows_of
from vision_jax.meta.adapt import adapt

INIT_ROWS = 1024  # rows that the head's feature statistics are taken from


class Run(NamedTuple):
    """One training run: a split and a seed."""

    split: Split
    seed: tuple[int, int]


class Columns(NamedTuple):
    """The table on the device; labels are standardised by each run's training part.

    Attributes:
        features: `[n, d]`, shared by all runs.
        quality: `[runs, n]`.
    """

    features: jax.Array
    quality: jax.Array


OVER_RUNS = Columns(None, 0)  # what `jax.vmap` maps over


def take(columns: Columns, rows: Any) -> Any:
    """A batch from row indices, in the same nesting: `{'features', 'quality'}` for each array."""
    if isinstance(rows, dict):
        return {name: take(columns, part) for name, part in rows.items()}
    return {'features': columns.features[rows], 'quality': columns.quality[rows]}


def train(task: Task, method, table: Table, runs: Sequence[Run]) -> tuple[Any, Any]:
    """Trains a method on every run.

    Args:
        task: Head on features, as a task on plain batches.
        method: Its config: `meta` (`name`, '' for joint training, and options), `optimizer`,
            `steps` (0 leaves the initial head), `batch` (tasks, support and query of an episode,
            or `size` of a joint batch).
        table: All rows.
        runs: What to train on.

    Returns:
        Parameters and model state, each leaf with a leading axis of runs.
    """
    options = dict(method.meta)
    name = options.pop('name')
    learner = catalog.get(name)(task, **options) if name else task
    rows = stack([draw_rows(method, table, run, episodes=bool(name)) for run in runs])
    init_rows = stack([initial_rows(table, run, episodes=bool(name)) for run in runs])
    keys = jax.random.split(jax.random.key(0), len(runs))
    optimizer = optim.make_optimizer(method.optimizer, steps=max(method.steps, 1))
    step = build_train_step(learner, optimizer)

    def one_run(columns, init_rows, rows, key):
        begin = state.create(learner, optimizer, take(columns, init_rows), key)

        def one_step(current, rows):
            current, metrics = step(current, take(columns, rows), key)
            return current, metrics['loss'][0] / metrics['loss'][1]

        end, losses = jax.lax.scan(one_step, begin, rows)
        return end.params, end.model_state, losses

    params, model_state, losses = jax.jit(jax.vmap(one_run, in_axes=(OVER_RUNS, 0, 0, 0)))(
        on_device(table, runs), init_rows, rows, keys
    )
    check_losses(method, np.asarray(losses))
    return params, model_state


def check_losses(method, losses: np.ndarray) -> None:
    """Raises `FloatingPointError`, naming run and step, where a training loss is not finite."""
    bad = np.argwhere(~np.isfinite(losses))
    if bad.size:
        raise FloatingPointError(
            f'loss of {dict(method.meta)} is not finite at step {bad[0, 1]} of run {bad[0, 0]}'
        )


def draw_rows(method, table: Table, run: Run, *, episodes: bool):
    """The rows of all training steps of one run."""
    draw = sampling.episode_rows if episodes else sampling.batch_rows
    return draw(table, run.split, steps=method.steps, seed=(*run.seed, 1), **method.batch)


def initial_rows(table: Table, run: Run, *, episodes: bool):
    """Rows of a batch that the head is initialised on, in the form that the learner takes."""
    rows = sampling.batch_rows(table, run.split, steps=1, size=INIT_ROWS, seed=(*run.seed, 0))
    return {'support': rows, 'query': rows} if episodes else rows[0]


def evaluate(
    task: Task, adaptation, params, model_state, table: Table, runs: Sequence[Run], *,
    shots: int, draws: int,
) -> tuple[np.ndarray, list[list[dict]]]:
    """Adapts on K labels of every unseen distortion and correlates on the unseen photographs.

    Args:
        task: Head on features, as a task on plain batches.
        adaptation: Options of `meta.adapt.adapt`.
        params: Parameters of each run, leading axis runs.
        model_state: Model state of each run.
        table: All rows.
        runs: The runs.
        shots: K; 0 predicts without adapting.
        draws: How often the K labelled images are drawn anew.

    Returns:
        SROCC `[runs, draws, distortions]`, NaN where all predictions are equal; and for every run
        and distortion the query `rows` with the `predictions [draws, q]`, on the labels' scale.
    """

    def predict(params, model_state, features, support_rows, columns):
        if shots:
            support = take(columns, support_rows)
            params, model_state = adapt(
                task, params, model_state, support, jax.random.key(0), **adaptation
            )
        return task.predict(params, model_state, {'features': features})['quality']

    over_draws = jax.vmap(predict, in_axes=(None, None, None, 0, None))
    over_distortions = jax.vmap(over_draws, in_axes=(None, None, 0, 0, None))
    over_runs = jax.jit(jax.vmap(over_distortions, in_axes=(0, 0, 0, 0, OVER_RUNS)))

    columns, queries = on_device(table, runs), [query_rows(table, run) for run in runs]
    longest = max(len(rows) for by_type in queries for rows in by_type)
    padded = np.array([[np.resize(rows, longest) for rows in by_type] for by_type in queries])
    count = draws if shots else 1
    support = np.zeros((*padded.shape[:2], count, 1), np.int32) if not shots else np.array([
        [sampling.shot_rows(table, run.split, d, shots=shots, draws=count, seed=(*run.seed, 2, d))
         for d in run.split.test_distortions]
        for run in runs
    ])
    predictions = np.asarray(
        over_runs(params, model_state, columns.features[padded], support, columns)
    )  # [runs, distortions, draws, q]
    mean, deviation = label_statistics(table, runs)
    predictions = predictions * deviation[:, None, None, None] + mean[:, None, None, None]
    points = [
        [{'rows': rows, 'predictions': predictions[i, j, :, : len(rows)]}
         for j, rows in enumerate(by_type)]
        for i, by_type in enumerate(queries)
    ]
    scores = [[spearman(p['predictions'], table.quality[p['rows']]) for p in by_type]
              for by_type in points]
    return np.array(scores).transpose(0, 2, 1), points


def query_rows(table: Table, run: Run) -> list[np.ndarray]:
    """Rows of each unseen distortion on the unseen photographs."""
    return [rows_of(table, run.split.test_photographs, np.array([d]))
            for d in run.split.test_distortions]


def spearman(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """SROCC of each row of predictions `[b, n]` with labels `[n]`; NaN for constant rows."""
    x = rankdata(predictions, axis=-1)
    y = rankdata(labels) - (len(labels) + 1) / 2
    x = x - (len(labels) + 1) / 2
    norm = np.sqrt((x * x).sum(-1) * (y * y).sum())
    return np.divide((x * y).sum(-1), norm, out=np.full(len(x), np.nan), where=norm > 0)


def on_device(table: Table, runs: Sequence[Run]) -> Columns:
    """The table's features, and its labels as each run sees them, as device arrays."""
    mean, deviation = label_statistics(table, runs)
    quality = (table.quality[None] - mean[:, None]) / deviation[:, None]
    return Columns(jnp.asarray(table.features), jnp.asarray(quality, jnp.float32))


def label_statistics(table: Table, runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the labels that each run may train on, `[runs]` both."""
    parts = [
        table.quality[rows_of(table, run.split.train_photographs, run.split.train_distortions)]
        for run in runs
    ]
    return np.array([part.mean() for part in parts]), np.array([part.std() for part in parts])


def stack(trees: list) -> Any:
    """Stacks equal trees of arrays along a new leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

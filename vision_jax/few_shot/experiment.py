"""The whole comparison of a config: features, training, adaptation, tables and plots."""

import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax import catalog, data
from vision_jax.core.task import Task
from vision_jax.core.writers import Progress
from vision_jax.data.distortions import DISTORTIONS
from vision_jax.few_shot import protocol, report
from vision_jax.few_shot.table import Table, build_table, draw_splits
from vision_jax.tasks import quality
from vision_jax.weights.published import with_published_weights

SCATTER_SHOTS = 10


def run(config, workdir: str | pathlib.Path) -> dict:
    """Runs the comparison and writes `result.json`, `curves.png`, `scatter.png` and `report.html`.

    Args:
        config: An experiment's config with a `few_shot` section.
        workdir: Folder for the results; made if absent, and results in it are replaced.

    Returns:
        What `result.json` holds: `table`, `margins`, `protocol`, `seconds`.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    clock, seconds = Clock(), {}
    source = data.load(config.data, 'all')
    seconds['data'] = clock.lap()
    task, table = head_and_table(config, source, workdir / 'features')
    seconds['features'] = clock.lap()
    scores, points = compare(config.few_shot, task, table)
    seconds['training and adaptation'] = clock.lap()
    result = {
        **report.summarise(scores),
        'protocol': {**config.few_shot.to_dict(), 'images': len(table.quality),
                     'label': 'pseudo-MOS, -log(1 - VSI + 0.001); no person was asked'},
        'seconds': {name: round(value, 1) for name, value in seconds.items()},
    }
    report.write(result, points, workdir, shots=SCATTER_SHOTS)
    return result


class Clock:
    """Seconds since the last lap."""

    def __init__(self):
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last call, or since the start."""
        before, self._last = self._last, time.perf_counter()
        return self._last - before


def head_and_table(config, source, folder: pathlib.Path) -> tuple[Task, Table]:
    """The head as a task on features, and the features of all images from the frozen trunk."""
    options = dict(config.model)
    name, _ = options.pop('name'), options.pop('input')
    model = catalog.get(name)(**options)
    image = jnp.zeros((2, *source[0]['image'].shape))
    variables = dict(jax.jit(lambda key: model.init(key, image, train=False))(jax.random.key(0)))
    if config.weights.path:
        variables = with_published_weights(variables, **config.weights)
    extract = jax.jit(lambda x: model.apply(variables, x, method='features'))
    fingerprint = json.dumps([config.model.to_dict(), config.weights.to_dict(),
                              {k: v for k, v in config.data.items() if k != 'directory'}],
                             sort_keys=True, default=str)
    table = build_table(source, extract, fingerprint=fingerprint, folder=folder)
    return quality.quality_task(model.head, quality.LOSSES[config.loss], field='features'), table


def compare(options, task: Task, table: Table):
    """Scores of every method, and the points of one split for the scatter plot.

    Args:
        options: The config's `few_shot` section.
        task: Head on features, as a task on plain batches.
        table: All images.

    Returns:
        Method to K to SROCC `[splits, seeds, draws, distortions]`; and method to the label,
        prediction and distortion of the first run's query images at K = `SCATTER_SHOTS`.
    """
    splits = draw_splits(table, count=options.splits, photographs=options.test_photographs,
                         distortions=options.test_distortions, seed=options.split_seed)
    runs = [protocol.Run(split, (options.split_seed, index, seed))
            for index, split in enumerate(splits) for seed in range(options.seeds)]
    scores, points = {}, {}
    each = 1 + len(options.shots)
    progress = Progress(len(options.methods) * each, unit='phase', title='methods',
                        lines=len(options.methods))
    methods = sorted(options.methods.values(), key=lambda method: method.order)
    for number, method in enumerate(methods):
        params, model_state = protocol.train(task, method, table, runs)
        progress.advance(number * each + 1)
        scores[method.title] = {}
        for phase, shots in enumerate(options.shots):
            by_run, queries = protocol.evaluate(
                task, method.adaptation, params, model_state, table, runs,
                shots=shots, draws=options.draws,
            )
            progress.advance(number * each + 2 + phase)
            if np.isnan(by_run).all():  # an untrained head predicts one number for all
                continue
            scores[method.title][shots] = by_run.reshape(
                options.splits, options.seeds, *by_run.shape[1:]
            )
            if shots == SCATTER_SHOTS:
                points[method.title] = scatter_points(table, runs[0], queries[0])
    progress.close()
    return scores, points


def scatter_points(table: Table, run: protocol.Run, by_distortion: list[dict]) -> dict:
    """Label, prediction (first draw) and name of the distortion of a run's query images."""
    names = {row.number: row.name.replace('_', ' ') for row in DISTORTIONS}
    return {
        'label': np.concatenate([table.quality[p['rows']] for p in by_distortion]),
        'prediction': np.concatenate([p['predictions'][0] for p in by_distortion]),
        'distortion': np.concatenate([
            np.full(len(p['rows']), names[int(d)])
            for p, d in zip(by_distortion, run.split.test_distortions, strict=True)
        ]),
    }

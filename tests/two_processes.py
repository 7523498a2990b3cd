"""Runs that `test_multiprocess` does twice: here as one of several processes, there as one."""

import pathlib
import sys
import time

import launch
from tests import toy_runs, toy_tasks
from vision_jax.core import parallel
from vision_jax.core.task import Task
from vision_jax.meta.maml import maml

EPISODES = {'support': 2, 'query': 3, 'group': 'distortion', 'evaluate': 6}


def task(kind: str) -> Task:
    """A plain task, or second-order MAML of it."""
    plain = toy_tasks.convolution_task('group')
    return plain if kind == 'plain' else maml(plain, inner_lr=0.5, inner_steps=2, order=2)


def plan(kind: str, backend: str, **changes):
    """Two steps of SGD whose momentum shows the gradients."""
    options = {
        'parallel': backend, 'train__steps': 2, 'train__log_every': 1, 'train__eval_every': 2,
        'train__ema_decay': 0.0, 'optimizer__name': 'sgd', 'optimizer__momentum': 0.5,
        'data__eval_batch_size': 8, 'evaluators': ('correlation',), **changes,
    }
    if kind == 'maml':
        options |= {'data__episodes': EPISODES, 'data__batch_size': 4, 'data__eval_batch_size': 4}
    return toy_runs.config(**options)


def run_all(folder: pathlib.Path, **options) -> None:
    """Each kind of task on each backend."""
    from vision_jax import train

    for kind in ('plain', 'maml'):
        for backend in parallel.BACKENDS:
            train.run(
                plan(kind, backend), folder / f'{kind}_{backend}', task=task(kind),
                sources=toy_runs.toy_sources(), **options,
            )


def run_long(folder: pathlib.Path) -> None:
    """A run that lasts until it is told to stop."""
    from vision_jax import train

    result = train.run(
        plan('plain', 'pmap', train__steps=10_000, train__log_every=1), folder,
        task=task('plain'), sources=toy_runs.toy_sources(),
        on_step=lambda step: time.sleep(0.05),
    )
    (folder / f'stopped{result["step"]}').touch()


def main() -> None:
    """One of the processes: `FOLDER all|long|fail` and the process arguments."""
    parser = launch.Parser(__doc__)
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('what')
    launch.add_process_arguments(parser)
    options = parser.parse_args()
    import jax

    jax.config.update('jax_num_cpu_devices', 2)
    jax.config.update('jax_numpy_rank_promotion', 'raise')
    if options.what == 'fail' and options.process_id == 1:
        sys.exit(3)
    launch.join_processes(options)
    {'all': run_all, 'long': run_long, 'fail': run_long}[options.what](options.folder)


if __name__ == '__main__':
    main()

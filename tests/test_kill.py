"""`kill -9` at random moments, resumed each time: bit-equal to the run that nothing stopped."""

import json
import multiprocessing
import pathlib
import random
import time

import numpy as np
import pytest

from tests import toy_runs
from vision_jax.weights import readers

STEPS, KILLS, KILLS_AT_START = 60, 20, 4
LEAD = 4  # a child waits to be killed this many steps after the one that it is killed at
LONGEST_WAIT = 120


def plan():
    """A run that saves every two steps, with everything that a checkpoint must hold."""
    return toy_runs.config(
        train__steps=STEPS, train__checkpoint_every=2, train__eval_every=15, train__log_every=7,
        checkpoint__best_metric='loss', checkpoint__best_mode='min', data__batch_size=8,
    )


def child(folder: str, steps, last: int) -> None:
    """Trains; reports each step, and goes on no further than `last`."""
    from vision_jax import train

    def on_step(step):
        steps.send(step)
        if step >= last:
            time.sleep(LONGEST_WAIT)

    train.run(
        plan(), folder, task=toy_runs.task(), sources=toy_runs.toy_sources(), on_step=on_step
    )


class Child:
    """One process that trains, forked from one that has imported everything."""

    def __init__(self, folder: pathlib.Path, last: int = STEPS + 1):
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(['vision_jax.train', 'tests.toy_runs'])
        self.steps, end = context.Pipe(duplex=False)
        self.process = context.Process(target=child, args=(str(folder), end, last))
        self.process.start()
        end.close()

    def run_until(self, step: int, seconds: float = LONGEST_WAIT) -> None:
        """Returns when a step is done, the process has ended, or the time is over."""
        deadline, seen = time.monotonic() + seconds, 0
        while seen < step and self.steps.poll(max(0.0, deadline - time.monotonic())):
            try:
                seen = self.steps.recv()
            except EOFError:
                return

    def kill(self) -> int:
        """SIGKILL; returns the exit code."""
        self.process.kill()
        return self.end()

    def end(self) -> int:
        """Waits for the process and returns its exit code."""
        self.process.join(LONGEST_WAIT)
        self.steps.close()
        return self.process.exitcode


def outcome(folder: pathlib.Path):
    """The last checkpoint's arrays, the log without times, and the result without times."""
    arrays = readers.load_orbax(folder / 'checkpoints' / str(STEPS) / 'state')
    rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if k != 'steps_per_second'} for row in rows]
    result = json.loads((folder / 'result.json').read_text())
    return arrays, rows, {k: v for k, v in result.items() if k != 'seconds'}


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_nothing(tmp_path):
    straight, killed = tmp_path / 'straight', tmp_path / 'killed'
    assert Child(straight).end() == 0
    draw = random.Random(3)
    moments = sorted(draw.sample(range(1, STEPS - LEAD), KILLS - KILLS_AT_START))
    moments += [None] * KILLS_AT_START  # at any time after the start, maybe before the first step
    moments.sort(key=lambda step: step or draw.randrange(STEPS))
    saving = 0
    for step in moments:
        one = Child(killed, last=(step or STEPS - LEAD) + LEAD - 1)
        if step is None:
            one.run_until(STEPS, seconds=draw.uniform(0, 1.5))
        else:
            one.run_until(step)
            time.sleep(draw.uniform(0, 0.06))
        assert one.kill() == -9, 'it ended before it was killed'
        saving += bool(list((killed / 'checkpoints').glob('*tmp*')))
        assert not (killed / 'result.json').exists()
    assert saving, 'no kill fell into a save'
    assert Child(killed).end() == 0
    expected, got = outcome(straight), outcome(killed)
    assert got[0].keys() == expected[0].keys()
    for name, array in expected[0].items():
        assert got[0][name].dtype == array.dtype
        assert np.asarray(got[0][name]).tobytes() == np.asarray(array).tobytes(), name
    assert got[1:] == expected[1:]
    print(f'{KILLS} kills, {saving} of them during a save')

"""Seconds of one outer step of MAML on ResNet-18, of first and second order, beside torch.

    python benchmarks/maml.py [--tasks=4] [--shots=8] [--side=64] [--width=16] [--rounds=15]
        [--task_axis=vmap,unroll]

4 tasks of 8 + 8 images at 64x64; ResNet-18 of width 16 with group norm and one output; squared
error; one inner step; float32. A step is the gradient of the outer loss in all parameters.

Ours maps over tasks (vmap) or unrolls them (longer to compile), torch runs in the four ways of
`torch_maml.py`. All take turns on the same parameters and images, on as many threads as the process
has cores; the fastest of torch's ways is the peer. A figure is the least of the rounds, after two
to warm up; `cpu` is the least processor time of all threads, to look at where other programs have
the cores too. Compilation is apart (torch has none: its first call). Torch shares the process with
JAX here, which was seen to cost it 0.16 s a step against 0.14 s in a process of its own.

That it is the same step is checked first: both gradients against torch's in float64. Either may
differ from it where a ReLU's input is nearly 0 and rounding decides on its side.

Peak memory is how far one step raises the resident memory of a process that does nothing else, read
from /proc (Linux), for ours after compilation; XLA's own figure for its buffers stands beside it.
"""

import argparse
import ctypes
import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.task import Task
from vision_jax.meta.maml import maml
from vision_jax.nn import resnet

INNER_LR = 0.01
TASK_AXES = ('vmap', 'unroll')
TOLERANCE = 5e-3  # of a gradient's norm; one ReLU on the other side makes about 1e-3


def episodes(tasks: int, shots: int, side: int) -> dict:
    """Noise with random labels: what is timed does not depend on what is seen."""
    generator = np.random.default_rng(0)
    return {
        part: {'image': generator.random((tasks, shots, side, side, 3), np.float32),
               'quality': generator.random((tasks, shots), np.float32)}
        for part in ('support', 'query')
    }


def quality_task(width: int) -> Task:
    """Squared error of one output of ResNet-18."""
    model = resnet.build('18', num_outputs=1, width=width, norm='group', conv='matmul')

    def init(key, batch):
        return model.init(key, batch['image'], train=False)['params'], {}

    def loss(params, model_state, batch, key, train):
        out, _ = model.apply({'params': params}, batch['image'], train=train)
        return jnp.square(out[:, 0] - batch['quality']).mean(), (model_state, {})

    return Task(init, loss, predict=None)


def our_step(batch, width: int, order: int, task_axis: str) -> tuple[Callable, dict, float, float]:
    """(step, parameters, seconds of compilation, MB of XLA's buffers)."""
    learner = maml(quality_task(width), inner_lr=INNER_LR, inner_steps=1, order=order,
                   task_axis=task_axis)
    batch = jax.tree.map(jnp.asarray, batch)
    params, _ = jax.jit(learner.init)(jax.random.key(0), batch)

    def outer(params, batch):
        return learner.loss(params, {}, batch, jax.random.key(0), True)[0]

    start = time.perf_counter()
    compiled = jax.jit(jax.grad(outer)).lower(params, batch).compile()
    seconds, memory = time.perf_counter() - start, compiled.memory_analysis()
    buffers = (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20
    return lambda: jax.block_until_ready(compiled(params, batch)), params, seconds, buffers


def torch_steps(params, batch, width: int, order: int) -> dict[str, Callable]:
    """Torch's ways of the same step; empty where torch is not installed."""
    if importlib.util.find_spec('torch') is None:
        return {}
    import torch  # the peer, in the extra `bench`
    import torch_maml

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    ways = torch_maml.steps(params, batch, width=width, inner_lr=INNER_LR, order=order)
    return {f'torch {torch.__version__} {way}': step for way, step in ways.items()}


def measure(steps: dict[str, Callable], rounds: int) -> dict[str, tuple[float, float]]:
    """Least (seconds, processor seconds) of each step; all take turns in a round."""
    walls, processors = ({name: [] for name in steps} for _ in range(2))
    for _ in range(rounds + 2):
        for name, step in steps.items():
            wall, processor = time.perf_counter(), time.process_time()
            step()
            walls[name].append(time.perf_counter() - wall)
            processors[name].append(time.process_time() - processor)
    return {name: (min(walls[name][2:]), min(processors[name][2:])) for name in steps}


def differences(gradients: dict, params, batch, width: int, order: int) -> dict[str, float]:
    """How far each gradient lies from torch's in float64, as a share of its norm."""
    import torch
    import torch_maml

    reference = torch_maml.steps(
        params, batch, width=width, inner_lr=INNER_LR, order=order, dtype=torch.float64)
    exact = reference['func.vmap']()
    apart = {}
    for name, gradient in gradients.items():
        gradient = torch_maml.named(gradient) if name in TASK_AXES else gradient
        apart[name] = torch_maml.difference(gradient, exact)
        if apart[name] > TOLERANCE:
            raise SystemExit(f'order {order}, {name}: not the gradient, {apart[name]:.1e} from it')
    return apart


def peak(options, name: str, order: int) -> float:
    """MB by which a step raises the memory of a process of its own."""
    arguments = [f'--{key}={value}' for key, value in vars(options).items() if key != 'peak_of']
    found = subprocess.run(
        [sys.executable, __file__, *arguments, f'--peak_of={order},{name}'],
        check=True, capture_output=True, text=True)
    return float(found.stdout.split()[-1])


def print_peak(options, batch) -> None:
    """What the process started by `peak` does."""
    order, name = options.peak_of.split(',', 1)
    if name in TASK_AXES:
        step = our_step(batch, options.width, int(order), name)[0]
    else:
        one_task = jax.tree.map(lambda x: x[0], batch['support'])
        params, _ = jax.jit(quality_task(options.width).init)(jax.random.key(0), one_task)
        step = torch_steps(params, batch, options.width, int(order))[name]
    gc.collect()
    jax.clear_caches()
    ctypes.CDLL(None).malloc_trim(0)  # gives back what compilation used
    with open('/proc/self/clear_refs', 'w') as file:
        file.write('5')  # resets VmHWM, the peak
    before = resident('VmRSS')
    for _ in range(3):
        step()
    print(resident('VmHWM') - before)


def resident(field: str) -> float:
    """A figure of /proc/self/status in MB."""
    with open('/proc/self/status') as file:
        return next(float(line.split()[1]) / 1024 for line in file if line.startswith(field))


def compare(options, batch, order: int) -> list[dict]:
    """Times one order, prints its lines, and returns ours as rows for the JSON line."""
    ours = {axis: our_step(batch, options.width, order, axis)
            for axis in options.task_axis.split(',')}
    params = next(iter(ours.values()))[1]
    peers = torch_steps(params, batch, options.width, order)
    steps = {**{axis: step for axis, (step, *_) in ours.items()}, **peers}
    gradients, first_call = {}, {}
    for name, step in steps.items():
        start = time.perf_counter()
        gradients[name] = step()
        first_call[name] = time.perf_counter() - start
    if not peers:
        print("no peer, torch is not installed (pip install '.[bench]')")
    apart = differences(gradients, params, batch, options.width, order) if peers else {}
    figures = measure(steps, options.rounds)
    peer = min(peers, key=lambda name: figures[name][0], default=None)
    peaks = {name: peak(options, name, order) for name in (*ours, *filter(None, [peer]))}
    for name, (wall, processor) in figures.items():
        share = f'{wall / figures[peer][0]:.2f} (cpu {processor / figures[peer][1]:.2f})' \
            if peer else '-'
        before = f'compile {ours[name][2]:.1f}' if name in ours else f'first {first_call[name]:.1f}'
        memory = f'peak {peaks[name]:.0f} MB' if name in peaks else ''
        print(f'order {order} {name:38s} {wall:.3f} s (cpu {processor:.3f})  ratio {share}  '
              f'{before} s  off by {apart.get(name, float("nan")):.0e}  {memory}', flush=True)
    return [{
        'name': f'maml_order{order}_{axis}', 'ours_s': figures[axis][0], 'peer': peer,
        'peer_s': peer and figures[peer][0], 'ratio': peer and figures[axis][0] / figures[peer][0],
        'ours_cpu_s': figures[axis][1], 'peer_cpu_s': peer and figures[peer][1],
        'compile_s': ours[axis][2], 'peer_first_call_s': peer and first_call[peer],
        'peak_mb': peaks[axis], 'peer_peak_mb': peer and peaks[peer], 'xla_mb': ours[axis][3],
        'gradient_difference': apart.get(axis), 'peer_gradient_difference': apart.get(peer),
        'device': jax.devices()[0].platform, 'jax': jax.__version__,
    } for axis in ours]


def main() -> None:
    """Prints a table, and the same as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (('tasks', 4), ('shots', 8), ('side', 64), ('width', 16), ('rounds', 15)):
        parser.add_argument(f'--{name}', type=int, default=value)
    parser.add_argument('--task_axis', default='vmap')
    parser.add_argument('--peak_of', help=argparse.SUPPRESS)
    options = parser.parse_args()
    batch = episodes(options.tasks, options.shots, options.side)
    if options.peak_of:
        print_peak(options, batch)
        return
    first, second = (compare(options, batch, order) for order in (1, 2))
    for one, two in zip(first, second, strict=True):
        two['to_first_order'] = two['ours_s'] / one['ours_s']
        print(f"{two['name']}: {two['to_first_order']:.2f} times first order")
    print(json.dumps(first + second))


if __name__ == '__main__':
    main()

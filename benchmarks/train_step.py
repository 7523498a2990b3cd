"""Seconds of one forward and backward pass of ResNet-18 and EfficientNet-Lite0, beside torch.

    python benchmarks/train_step.py [--batch=8] [--side=224] [--rounds=7] [--conv=lax,matmul]

Batch norm in training mode, cross-entropy over 1000 classes, gradients of all parameters, float32.
Ours and torch's run in turn on the same images and as many threads as the process has cores.
Warm-up and compilation are apart; a figure is the least of the rounds. Torch runs in both of its
memory layouts, and the faster is the peer. `ratio` is ours to the peer's.
"""

import argparse
import importlib.util
import json
import os
import resource
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.nn import efficientnet_lite, resnet

NETWORKS = {
    'resnet18': lambda conv: resnet.build('18', conv=conv),
    'efficientnet_lite0': lambda conv: efficientnet_lite.build('lite0', conv=conv, dropout=0.0),
}


def our_step(name: str, conv: str, images, labels) -> tuple[Callable[[], None], float]:
    """A function that runs one step of ours, and the seconds that compiling it took."""
    model = NETWORKS[name](conv)
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    shape = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.jit(lambda k, x: model.init(k, x, train=False))(
        jax.random.key(0), jnp.zeros(shape.shape))

    def loss(params, state, images, labels):
        (logits, _), state = model.apply(
            {'params': params, **state}, images, train=True, mutable=['batch_stats'])
        scores = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean(), state

    inputs = (variables['params'], {'batch_stats': variables['batch_stats']}, images, labels)
    start = time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*inputs).compile()
    return lambda: jax.block_until_ready(compiled(*inputs)), time.perf_counter() - start


def torch_steps(name: str, images, labels) -> dict[str, Callable[[], None]]:
    """Torch's step in both memory layouts; empty where torch is not installed."""
    if importlib.util.find_spec('torch') is None:
        return {}
    import torch  # the peer, in the extra `bench`
    import torch_networks

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    build = getattr(torch_networks, name)
    return {
        f'torch {torch.__version__} {layout}':
            torch_networks.train_step(build(), images, labels, channels_last=layout == 'NHWC')
        for layout in ('NCHW', 'NHWC')
    }


def measure(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Least seconds of each step over rounds in which all take turns, after two to warm up."""
    seconds = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number > 1:
                seconds[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in seconds.items()}


def main() -> None:
    """Prints a table, and the same as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--side', type=int, default=224)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--conv', default='lax,matmul')
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    images = generator.random((options.batch, options.side, options.side, 3), np.float32)
    labels = generator.integers(0, 1000, options.batch)
    rows = []
    for name in NETWORKS:
        peers = torch_steps(name, images, labels)
        if not peers:
            print(f"{name}: no peer, torch is not installed (pip install '.[bench]')")
        ours = {conv: our_step(name, conv, images, labels) for conv in options.conv.split(',')}
        steps = {conv: step for conv, (step, _) in ours.items()}
        seconds = measure({**steps, **peers}, options.rounds)
        peer = min(peers, key=seconds.get, default=None)
        for label, value in seconds.items():
            share = f'{value / seconds[peer]:.2f}' if peer else '-'
            compiling = f'{ours[label][1]:.1f} s to compile' if label in ours else ''
            print(f'{name:20s} {label:26s} {value:7.3f} s  ratio {share}  {compiling}', flush=True)
        rows += [{
            'name': f'train_step_{name}_{conv}', 'ours_s': seconds[conv], 'peer': peer,
            'peer_s': peer and seconds[peer], 'ratio': peer and seconds[conv] / seconds[peer],
            'compile_s': ours[conv][1],
            'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            'device': jax.devices()[0].platform, 'jax': jax.__version__,
        } for conv in ours]
    print(json.dumps(rows))


if __name__ == '__main__':
    main()

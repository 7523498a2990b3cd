"""Every full-reference metric beside its peers: 16 pairs of 512x512 RGB, float32.

    pip install -e '.[bench]'; python benchmarks/full_reference.py [--metrics=ssim,vsi] [--rounds=5]

Ours and each peer's score the same arrays on the same cores, in turn (A B A B), at least `rounds`
times or for `--seconds`; the least round counts, and our compilation is timed apart. Only a peer
that computes the same number is a measure: the keywords of `peers.py` are given to our metric, the
scores are compared, and a peer that differs by more than `SAME` is shown without a ratio. What is
timed is our default, and `ratio` is its time to that of the fastest such peer. `peak_mb` is how far
the memory of a fresh process rises over its inputs.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from peers import DISTRIBUTIONS, PEERS, Peer
from scipy import ndimage
from skimage import data

from vision_jax import catalog

PAIRS, SIDE = 16, 512
SAME = 2e-3  # of the score's own scale
FEW = 2  # pairs, for a peer that takes minutes
SLOW_PEERS = {'mad', 'ssimulacra2', 'flip', 'lpips_vgg', 'dists'}


def photographs(count: int = PAIRS, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """References and distorted: crops of photographs with noise, blur and contrast in turn."""
    sources = [data.astronaut(), data.retina(), data.immunohistochemistry(), data.retina()[400:]]
    generator = np.random.default_rng(0)
    references = []
    for i in range(count):
        source = sources[i % len(sources)] / 255
        down, across = (generator.integers(0, n - side + 1) for n in source.shape[:2])
        crop = source[down:down + side, across:across + side]
        references.append(crop[::-1] if i % 8 >= 4 else crop)
    references = np.stack(references)
    distorted = [
        (lambda x: x + generator.normal(0, 0.06, x.shape),
         lambda x: ndimage.gaussian_filter(x, (1.5, 1.5, 0)),
         lambda x: 0.5 + 0.6 * (x - 0.5))[i % 3](image) for i, image in enumerate(references)]
    pair = references, np.clip(np.stack(distorted), 0, 1)
    return tuple(np.float32(np.round(255 * x) / 255) for x in pair)


def ours(name: str, references, distorted, **options):
    """Our metric, compiled, as a call without arguments, its images on the device."""
    inputs = _weights(name), jnp.asarray(references), jnp.asarray(distorted)
    metric = jax.jit(lambda weights, a, b: catalog.get(name)(a, b, **weights, **options))
    metric = metric.lower(*inputs).compile()
    return lambda: metric(*inputs).block_until_ready()


def _weights(name: str) -> dict:
    load = catalog.entry(name).weights
    return {'weights': catalog.resolve(load)()} if load else {}


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, images, *, rounds: int, budget: float) -> list[dict]:
    """One line for each peer of a metric, or one without a peer."""
    start = time.perf_counter()
    call = ours(name, *images)
    compile_s = time.perf_counter() - start
    line = {'name': name, 'compile_s': compile_s, 'pairs': len(images[0]),
            'device': jax.devices()[0].device_kind, 'jax': jax.__version__}
    lines = []
    for peer in PEERS.get(name, []):
        try:
            lines.append({**line, **_beside(name, peer, call, images, rounds, budget)})
        except ImportError as error:
            print(f'{name}: no peer {peer.package} ({error})')
    if not lines:
        best = min(seconds(call) for _ in range(rounds))
        lines = [{**line, 'ours_s': best, 'peer': None, 'peer_s': None, 'ratio': None}]
    return lines


def _beside(name: str, peer: Peer, call, images, rounds: int, budget: float) -> dict:
    few = [x[:FEW] for x in images] if name in SLOW_PEERS else images
    theirs = peer.prepare(*few)
    difference = None
    if peer.options is not None:
        got, expected = np.asarray(ours(name, *few, **peer.options)()), np.asarray(theirs())
        difference = float(np.max(np.abs(got - expected) / np.maximum(1, np.abs(expected))))
    best, started = [np.inf, np.inf], time.perf_counter()
    for index in range(rounds):
        for side, each in enumerate((call, theirs)):
            best[side] = min(best[side], seconds(each))
        if index and time.perf_counter() - started > budget:
            break
    peer_s = best[1] * len(images[0]) / len(few[0])
    same = difference is not None and difference <= SAME
    return {'ours_s': best[0], 'peer': peer.package, 'call': peer.call, 'peer_s': peer_s,
            'version': importlib.metadata.version(DISTRIBUTIONS.get(peer.package, peer.package)),
            'difference': difference, 'ratio': best[0] / peer_s if same else None}


def fastest(lines: list[dict]) -> dict:
    """The line of the fastest peer that computes the same number, or any without one."""
    right = [line for line in lines if line['ratio'] is not None]
    return max(right, key=lambda line: line['ratio']) if right else lines[0]


def peak_mb(name: str, package: str | None) -> float | None:
    """Memory that one side takes over its inputs, in a process of its own."""
    command = [sys.executable, __file__, f'--peak={name}', f'--package={package or ""}']
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    return float(run.stdout.split()[-1]) if run.returncode == 0 else None


def print_peak(name: str, package: str) -> None:
    images = photographs()
    peer = next((p for p in PEERS.get(name, []) if p.package == package), None)
    call = peer.prepare(*images) if peer else ours(name, *images)
    pathlib.Path('/proc/self/clear_refs').write_text('5')  # Linux: the peak starts anew
    before = _memory_mb('VmRSS')
    call()
    print(_memory_mb('VmHWM') - before)


def _memory_mb(field: str) -> float:
    status = pathlib.Path('/proc/self/status').read_text()
    return int(status.split(f'{field}:')[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--metrics', default=','.join(catalog.names(kind='full_reference')))
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=30.0, help='of each peer, about')
    parser.add_argument('--no_memory', action='store_true')
    parser.add_argument('--all_peers', action='store_true', help='print the slower ones too')
    parser.add_argument('--peak', help=argparse.SUPPRESS)
    parser.add_argument('--package', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return print_peak(options.peak, options.package)
    images, chosen = photographs(), []
    print(f'{PAIRS} pairs of {SIDE}x{SIDE} RGB float32, {os.cpu_count()} cores')
    print(f'{"metric":12s} {"ours s":>8s} {"peer s":>8s} ratio  {"compile":>7s} {"peak MB":>15s}  '
          'peer')
    for name in options.metrics.split(','):
        lines = measure(name, images, rounds=options.rounds, budget=options.seconds)
        line = fastest(lines)
        if not options.no_memory:
            line |= {'peak_mb': peak_mb(name, None),
                     'peer_peak_mb': peak_mb(name, line['peer']) if line['peer'] else None}
        chosen.append(line)
        for each in [line] + ([x for x in lines if x is not line] if options.all_peers else []):
            print(_row(each), flush=True)
    ratios = [line['ratio'] for line in chosen if line['ratio'] is not None]
    if ratios:
        print(f'median ratio of {len(ratios)}: {np.median(ratios):.2f}; '
              f'over 1: {[x["name"] for x in chosen if (x["ratio"] or 0) > 1]}')
    print(json.dumps(chosen))


def _row(line: dict) -> str:
    def number(key, form):
        return format(line[key], form) if line.get(key) is not None else '-'.rjust(int(form[0]))
    difference = f', differs by {line["difference"]:.0e}' if line.get('difference') else ''
    return (f'{line["name"]:12s} {line["ours_s"]:8.3f} {number("peer_s", "8.3f")} '
            f'{number("ratio", "5.2f")}  {line["compile_s"]:7.1f} '
            f'{number("peak_mb", "7.0f")}/{number("peer_peak_mb", "7.0f")}  '
            f'{line["peer"] or "none"} {line.get("version", "")}{difference}')


if __name__ == '__main__':
    main()

"""The command `score` beside a loop over pyiqa, on the same 200 pairs of files.

    python benchmarks/score.py [--peer_python=/path/to/python] [--pairs=200] [--rounds=2]

Pairs: tiles of 512x512 of installed photographs and their JPEG, blurred and noisy versions, as PNG.
Ours is `python -m launch.score` on the two folders; the peer is a process that creates pyiqa's
metrics and calls them on one pair after another, as its documentation and its own command do, with
torch's default threads. Both are timed from start to end of the process, in turn, with nothing
compiled before; `cached` is ours with a folder for compiled programs, in the second run. `cores` is
user and system time (`CPU s`) over wall time.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from vision_jax.data.photographs import PHOTOGRAPHS, load_photograph

SIDE = 512
METRICS = 'psnr,ssim,ms_ssim,gmsd,vsi,fsimc'
PEER_METRICS = 'psnr,ssim,ms_ssim,gmsd,vsi,fsim'
REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
PEER = '''
import pathlib, sys, warnings
warnings.simplefilter('ignore')
import pyiqa, torch
names, references, distorted, out = sys.argv[1:]
metrics = {name: pyiqa.create_metric(name, device='cpu') for name in names.split(',')}
with open(out, 'w') as file, torch.no_grad():
    for path in sorted(pathlib.Path(distorted).iterdir()):
        reference = str(pathlib.Path(references) / path.name)
        values = [float(m(str(path), reference)) for m in metrics.values()]
        file.write(path.name + ',' + ','.join(map(str, values)) + '\\n')
'''


def write_pairs(folder: pathlib.Path, count: int) -> None:
    """References and distorted versions, as PNG files of the same name."""
    random = np.random.default_rng(0)
    names = ('references', 'distorted')
    for name in names:
        (folder / name).mkdir()
    photographs = [load_photograph(row.name) for row in PHOTOGRAPHS]
    photographs = [p for p in photographs if min(p.shape[:2]) >= SIDE]
    for index in range(count):
        photograph = photographs[index % len(photographs)]
        top, left = (int(random.integers(side - SIDE + 1)) for side in photograph.shape[:2])
        tile = Image.fromarray(photograph[top:top + SIDE, left:left + SIDE])
        tile = tile.transpose(Image.Transpose(index % 7)) if index % 8 else tile
        for name, picture in zip(names, (tile, _distort(tile, index, random)), strict=True):
            picture.save(folder / name / f'{index:03d}.png')


def _distort(tile: Image.Image, index: int, random: np.random.Generator) -> Image.Image:
    if index % 3 == 0:
        with tempfile.TemporaryFile() as file:
            tile.save(file, 'JPEG', quality=int(random.integers(5, 90)))
            return Image.open(file).convert('RGB')
    if index % 3 == 1:
        return tile.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 4)))
    noisy = np.asarray(tile) + random.normal(0, random.uniform(2, 30), (SIDE, SIDE, 3))
    return Image.fromarray(np.uint8(noisy.clip(0, 255).round()))


def run(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall seconds, cores kept busy and peak memory of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=REPOSITORY,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with process.stderr as stream:
        lines = stream.read().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f'{command[0]} failed: {lines[-1] if lines else "no message"}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {'seconds': seconds, 'cpu_seconds': busy, 'cores': busy / seconds,
            'peak_mb': used.ru_maxrss / 1024}


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """The quickest of some runs."""
    return min(runs, key=lambda found: found['seconds'])


def ours(folder: pathlib.Path, out: str, cache: str = '') -> dict[str, float]:
    """One run of the command."""
    command = [sys.executable, '-m', 'launch.score', str(folder / 'references'),
               str(folder / 'distorted'), f'--metrics={METRICS}', '--csv', f'--output={out}']
    return run(command, {'JAX_COMPILATION_CACHE_DIR': cache, 'PYTHONPATH': str(REPOSITORY)})


def peer(python: str, folder: pathlib.Path, out: str) -> dict[str, float]:
    """One run of the loop over pyiqa."""
    command = [python, '-c', PEER, PEER_METRICS, str(folder / 'references'),
               str(folder / 'distorted'), out]
    return run(command, {})


def measure(folder: pathlib.Path, python: str, rounds: int) -> dict[str, Any]:
    """All runs, ours and the peer's in turn."""
    found: dict[str, list] = {'ours': [], 'pyiqa': [], 'cached': []}
    for _ in range(rounds):
        found['ours'].append(ours(folder, str(folder / 'ours.csv')))
        if python:
            found['pyiqa'].append(peer(python, folder, str(folder / 'peer.csv')))
    for _ in range(2):
        found['cached'].append(ours(folder, str(folder / 'ours.csv'), str(folder / 'programs')))
    found['cached'] = found['cached'][1:]
    return {name: best(runs) for name, runs in found.items() if runs}


def check_files(folder: pathlib.Path, count: int) -> None:
    """Both scored all pairs, and the same ones: PSNR differs by pyiqa's epsilon alone."""
    tables = [np.genfromtxt(folder / name, delimiter=',', skip_header=skip, usecols=column)
              for name, skip, column in (('ours.csv', 1, 2), ('peer.csv', 0, 1))]
    if any(len(table) != count for table in tables) or np.abs(np.subtract(*tables)).max() > 0.01:
        raise SystemExit('the PSNR of ours and of the peer are not of the same pairs')


def main() -> None:
    """Prints a table, and the same as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--peer_python', default='', help='an interpreter that has pyiqa')
    parser.add_argument('--pairs', type=int, default=200)
    parser.add_argument('--rounds', type=int, default=2)
    options = parser.parse_args()
    if not options.peer_python:
        print('pyiqa is missing: name an interpreter that has it by --peer_python')
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_pairs(folder, options.pairs)
        found = measure(folder, options.peer_python, options.rounds)
        if 'pyiqa' in found:
            check_files(folder, options.pairs)
    print(f'{"":8}  seconds  pairs/s  CPU s  cores  peak MB   ({METRICS}, {options.pairs} pairs)')
    for row, values in found.items():
        print(f'{row:8}  {values["seconds"]:7.1f}  {options.pairs / values["seconds"]:7.1f}  '
              f'{values["cpu_seconds"]:5.0f}  {values["cores"]:5.2f}  {values["peak_mb"]:7.0f}')
    _print_json(found)


def _print_json(found: dict[str, dict[str, float]]) -> None:
    import jax

    peer_s = found['pyiqa']['seconds'] if 'pyiqa' in found else None
    print(json.dumps([{
        'name': 'score' if row == 'ours' else 'score_cached', 'ours_s': values['seconds'],
        'peer': 'pyiqa', 'peer_s': peer_s,
        'ratio': None if peer_s is None else values['seconds'] / peer_s,
        'cpu_s': values['cpu_seconds'], 'cores': values['cores'], 'peak_mb': values['peak_mb'],
        'device': jax.devices()[0].platform, 'jax': jax.__version__,
    } for row, values in found.items() if row != 'pyiqa']))


if __name__ == '__main__':
    main()

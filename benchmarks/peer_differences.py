"""How far the peers' numbers lie from ours, for docs/metrics.md; writes docs/peer_differences.csv.

    pip install -e '.[bench]'; python benchmarks/peer_differences.py [--metrics=ssim,vsi]

Three photographs of scikit-image (512x512, 400x600, 300x451), each blurred, noisy, at JPEG
qualities 10 and 40, and with less contrast: 15 pairs, as 8-bit pictures scaled to [0, 1]. A row has
the mean and the greatest difference between the peer's default and ours, and the greatest one under
the keywords by which ours follows the peer. A peer that is not installed keeps its old rows.
"""

import argparse
import csv
import importlib.metadata
import io
import pathlib

import jax
import numpy as np
from peers import DISTRIBUTIONS, PEERS
from PIL import Image
from scipy import ndimage
from skimage import data

from vision_jax import catalog
from vision_jax.core.workdir import replacing

TABLE = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'peer_differences.csv'
COLUMNS = ['metric', 'package', 'version', 'call', 'pairs', 'mean', 'greatest', 'options',
           'greatest_with_options', 'why']


def photographs() -> list[tuple[np.ndarray, np.ndarray]]:
    """(references, distorted) of each photograph, `5 h w 3` floats in [0, 1]."""
    batches = []
    for photo in (data.astronaut(), data.coffee(), data.chelsea()):
        pixels, generator = photo.astype(np.float64), np.random.default_rng(0)
        distorted = [ndimage.gaussian_filter(pixels, (1.5, 1.5, 0)),
                     pixels + generator.normal(0, 15, pixels.shape),
                     _jpeg(photo, 10), _jpeg(photo, 40), 128 + 0.6 * (pixels - 128)]
        distorted = np.clip(np.round(np.stack(distorted)), 0, 255)
        batches.append(tuple(np.float32(x / 255) for x in (
            np.broadcast_to(pixels, distorted.shape), distorted)))
    return batches


def _jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, 'JPEG', quality=quality)
    return np.asarray(Image.open(file)).astype(np.float64)


def scores(name: str, batches, **options) -> np.ndarray:
    """Our scores of all pairs."""
    load = catalog.entry(name).weights
    weights = {'weights': catalog.resolve(load)()} if load else {}
    metric = jax.jit(lambda weights, a, b: catalog.get(name)(a, b, **weights, **options))
    return np.concatenate([metric(weights, *batch) for batch in batches])


def rows(name: str, batches) -> list[dict]:
    """One row for each installed peer of a metric."""
    found, default = [], scores(name, batches)
    for peer in PEERS.get(name, []):
        try:
            theirs = np.concatenate([np.asarray(peer.prepare(*batch)()).reshape(-1)
                                     for batch in batches])
        except ImportError as error:
            print(f'{name}: no peer {peer.package} ({error})')
            continue
        difference = np.abs(theirs - default)
        row = {'metric': name, 'package': peer.package, 'call': peer.call,
               'version': importlib.metadata.version(
                   DISTRIBUTIONS.get(peer.package, peer.package)),
               'pairs': len(theirs), 'mean': f'{difference.mean():.2g}',
               'greatest': f'{difference.max():.2g}', 'why': peer.why, 'options': '-',
               'greatest_with_options': '-'}
        if peer.options is not None:
            same = scores(name, batches, **peer.options) if peer.options else default
            row['options'] = ' '.join(f'{k}={v}' for k, v in peer.options.items())
            row['greatest_with_options'] = f'{np.abs(theirs - same).max():.2g}'
        print('  '.join(str(row[column]) for column in COLUMNS), flush=True)
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--metrics', default=','.join(PEERS))
    chosen = [name for name in parser.parse_args().metrics.split(',')
              if name in catalog.names(kind='full_reference')]
    old = list(csv.DictReader(TABLE.open(newline=''))) if TABLE.exists() else []
    table = {(row['metric'], row['package'], row['call']): row for row in old}
    batches = photographs()
    for name in chosen:
        table |= {(row['metric'], row['package'], row['call']): row
                  for row in rows(name, batches)}
        known = {(name, p.package, p.call) for name, peers in PEERS.items() for p in peers}
        order = {name: index for index, name in enumerate(PEERS)}
        lines = sorted((row for key, row in table.items() if key in known),
                       key=lambda row: order[row['metric']])
        with replacing(TABLE) as path, path.open('w', newline='') as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(lines)


if __name__ == '__main__':
    main()

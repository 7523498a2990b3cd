"""Images a second of the input pipeline, beside a plain loop and what a training step consumes.

    python benchmarks/input_pipeline.py [--step_images_per_second=250] [--workers=0,1,2]

Data: JPEG files of 512x384 (the size of TID2013 and KADID-10k) made here; each is decoded, resized
to a shorter side of 256, cropped to 224, mirrored at random and scaled, in batches of 32. The plain
loop does the same with Pillow and NumPy in one thread, without shuffling. Both are timed in turn;
starting (worker processes import the library) is timed apart. `ratio` is ours to the plain loop's
seconds an image. The pipeline keeps up with a step if its rate is above the step's.
"""

import argparse
import json
import pathlib
import resource
import tempfile
import time

import jax
import numpy as np
from PIL import Image

from vision_jax.data import pipeline, sources

SIZE = (384, 512)
IMAGES, BATCH, ROUNDS, BATCHES_A_ROUND = 256, 32, 3, 8
CONFIG = {'batch_size': BATCH, 'resize': 256, 'crop': 224, 'flip': True}


def write_images(folder: pathlib.Path) -> sources.FolderSource:
    """Images with the detail of a photograph: coarse colour and fine noise."""
    generator = np.random.default_rng(0)
    rows = ['path,quality']
    for number in range(IMAGES):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + generator.normal(0, 8, (*SIZE, 3))
        pixels = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        pixels.save(folder / f'{number}.jpg', quality=90)
        rows.append(f'{number}.jpg,{number}')
    (folder / 'labels.csv').write_text('\n'.join(rows))
    return sources.FolderSource(folder, folder / 'labels.csv')


def plain_loop(folder: pathlib.Path, count: int) -> float:
    """Seconds for `count` images by Pillow and NumPy alone."""
    generator = np.random.default_rng(0)
    start = time.perf_counter()
    batch = []
    for number in range(count):
        image = Image.open(folder / f'{number % IMAGES}.jpg').convert('RGB')
        image = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))
        top, left = generator.integers(33), generator.integers(118)
        image = image[top:top + 224, left:left + 224]
        image = image[:, ::-1] if generator.random() < 0.5 else image
        batch.append(image.astype(np.float32) / np.float32(255))
        if len(batch) == BATCH:
            np.stack(batch)
            batch = []
    return time.perf_counter() - start


def measure(folder: pathlib.Path, source: sources.Source, workers: int) -> dict[str, float]:
    """Seconds an image of ours and of the plain loop in turn (least of the rounds), and to start.

    The batches read ahead while the plain loop runs are taken before the clock starts.
    """
    iterator = pipeline.train_iterator(source, {**CONFIG, 'workers': workers, 'read_ahead': 4})
    start = time.perf_counter()
    next(iterator)
    starting, ours, plain = time.perf_counter() - start, [], []
    count = BATCH * BATCHES_A_ROUND
    for _ in range(ROUNDS):
        for _ in range(4 * max(workers, 1) + 1):
            next(iterator)
        start = time.perf_counter()
        for _ in range(BATCHES_A_ROUND):
            next(iterator)
        ours.append((time.perf_counter() - start) / count)
        iterator.close()  # so that nothing is read ahead beside the plain loop
        plain.append(plain_loop(folder, count) / count)
        next(iterator)
    iterator.close()
    return {'ours_s': min(ours), 'peer_s': min(plain), 'start_s': starting}


def main() -> None:
    """Prints a table, and the same as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--step_images_per_second', type=float, default=0.0,
                        help='what one training step consumes (see benchmarks/train_step.py)')
    parser.add_argument('--workers', default='0,1,2')
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = write_images(folder)
        print('workers  images/s  plain loop  start s  share of what the step consumes')
        for workers in map(int, options.workers.split(',')):
            seconds = measure(folder, source, workers)
            rate, step = 1 / seconds['ours_s'], options.step_images_per_second
            share = f'{rate / step:.1f}' if step else 'not given'
            print(f'{workers:7d}  {rate:8.0f}  {1 / seconds["peer_s"]:10.0f}  '
                  f'{seconds["start_s"]:7.1f}  {share}', flush=True)
            rows.append({
                'name': f'input_pipeline_workers_{workers}', **seconds, 'peer': 'plain loop',
                'ratio': seconds['ours_s'] / seconds['peer_s'], 'images_per_second': rate,
                'step_images_per_second': step or None,
                'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                'device': jax.devices()[0].platform, 'jax': jax.__version__,
            })
    print(json.dumps(rows))


if __name__ == '__main__':
    main()

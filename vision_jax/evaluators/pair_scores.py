"""Scores of every pair of a data set by many metrics, kept in a CSV file that a later run goes on.

Pairs of one size share a batch, and each metric is compiled once a size. While a batch is scored,
the next images are decoded.
"""

import collections
import concurrent.futures
import csv
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax import catalog
from vision_jax.core.errors import InputError
from vision_jax.core.workdir import replacing
from vision_jax.core.writers import Progress
from vision_jax.data.pairs import Pairs
from vision_jax.ops.colour import to_grey

BATCH_PIXELS = 1 << 20  # of a batch: 4 pairs of 512x512, 28 of 192x192
LARGEST_BATCH = 32
READ_AHEAD = 64
WRITE_SECONDS = 10.0
DESCRIBING = ('path', 'reference', 'tile', 'distortion', 'level', 'quality')


def score_pairs(pairs: Pairs, metrics: Sequence[str], path: pathlib.Path, *,
                examples: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Scores pairs, those excepted whose scores are in the file.

    Args:
        pairs: The data set.
        metrics: Names in the catalogue.
        path: CSV file of scores: one row an example, one column a metric; written every 10
            seconds, and at the end or on an error, whole.
        examples: Which examples, `[k]`; all by default.

    Returns:
        Metric to scores `[len(pairs)]`; NaN for examples that were left out, and for images
        smaller than the metric takes.

    Raises:
        InputError: On an unknown metric, or a file of another data set.
    """
    scorers = {name: scorer(name) for name in metrics}
    table = _Table(pairs, path)
    examples = np.arange(len(pairs)) if examples is None else np.asarray(examples)
    missing = {name: ~table.done(name) for name in metrics}
    left = [int(i) for i in examples if any(missing[name][i] for name in metrics)]
    progress = Progress(max(len(left), 1), unit='pair', title='scoring', lines=20)
    last, number = time.monotonic(), 0
    try:
        for batch in _batches(pairs, left):
            for name, score in scorers.items():
                if missing[name][batch.examples].any():
                    table.put(name, batch.examples, score(batch.reference, batch.distorted))
            number += len(batch.examples)
            progress.advance(number)
            if time.monotonic() - last > WRITE_SECONDS:
                table.write()
                last = time.monotonic()
    finally:
        progress.close()
        if number:
            table.write()
    return {name: table.values(name) for name in metrics}


def scorer(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A metric of 8-bit RGB batches, compiled once a shape.

    Args:
        name: In the catalogue, of a metric of two images.

    Returns:
        `(reference, distorted)`, both uint8 `[b, h, w, 3]`, to scores `[b]`: NaN where the images
        are smaller than the metric takes.
    """
    row = catalog.entry(name)
    if getattr(row, 'kind', '') not in ('full_reference', 'reduced_reference'):
        raise InputError(f"'{name}' is no metric of a reference and a distorted image")
    metric = catalog.get(name)
    # as an argument: constants of that size make a compilation slow
    weights = {'weights': catalog.resolve(row.weights)()} if row.weights else {}

    @jax.jit
    def score(weights, reference, distorted):
        images = [image.astype(jnp.float32) / 255 for image in (reference, distorted)]
        if 3 not in row.channels:
            images = [to_grey(image) for image in images]
        return metric(*images, **weights)

    def checked(reference: np.ndarray, distorted: np.ndarray):
        if min(reference.shape[1:3]) < row.min_side:
            return np.full(len(reference), np.nan, np.float32)
        return score(weights, reference, distorted)

    return checked


class _Batch:
    """Pairs of one size; `examples` are those that count, the rest fills the batch."""

    def __init__(self, members: list[tuple[int, np.ndarray, np.ndarray]], size: int):
        self.examples = np.array([index for index, _, _ in members])
        members = members + members[-1:] * (size - len(members))
        self.reference = np.stack([reference for _, reference, _ in members])
        self.distorted = np.stack([distorted for _, _, distorted in members])


def _batches(pairs: Pairs, examples: list[int]) -> Iterator[_Batch]:
    """All pairs; a last part of a batch is filled up where that size has been compiled."""
    waiting: dict[tuple, list] = collections.defaultdict(list)
    full = set()
    for index, (reference, distorted) in _read(pairs, examples):
        shape = reference.shape
        waiting[shape].append((index, reference, distorted))
        if len(waiting[shape]) == _batch_size(shape):
            full.add(shape)
            yield _Batch(waiting.pop(shape), _batch_size(shape))
    for shape, members in waiting.items():
        yield _Batch(members, _batch_size(shape) if shape in full else len(members))


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS // (shape[0] * shape[1])))


def _read(pairs: Pairs, examples: list[int]) -> Iterator[tuple[int, tuple]]:
    """Decodes ahead, in order."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ahead: collections.deque = collections.deque()
        for index in examples:
            ahead.append((index, pool.submit(pairs.__getitem__, index)))
            if len(ahead) >= READ_AHEAD:
                first, result = ahead.popleft()
                yield first, result.result()
        while ahead:
            first, result = ahead.popleft()
            yield first, result.result()


class _Table:
    """The scores of a data set, and their file: '' is not done, 'nan' has no score."""

    def __init__(self, pairs: Pairs, path: pathlib.Path):
        self._path, self._count = path, len(pairs)
        names = [name for name in DESCRIBING if name in pairs.source.columns]
        described = {name: [str(value) for value in pairs.source.column(name)] for name in names}
        self._described = {'example': [str(i) for i in range(len(pairs))], **described}
        self._columns: dict[str, list[str]] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        with self._path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
        for name, values in self._described.items():
            if columns.pop(name, None) != values:
                raise InputError(f'{self._path} holds scores of other images (column {name}); '
                                 'choose another folder, or move it away')
        self._columns = columns

    def done(self, name: str) -> np.ndarray:
        """Which examples have been scored, `[n]`."""
        return np.array([value != '' for value in self._columns.get(name, [''] * self._count)])

    def put(self, name: str, examples: np.ndarray, scores) -> None:
        """Notes the scores of some examples; more scores than examples are fillings."""
        column = self._columns.setdefault(name, [''] * self._count)
        for index, score in zip(examples, np.asarray(scores), strict=False):
            column[index] = f'{float(score):.9g}'

    def values(self, name: str) -> np.ndarray:
        """The scores, `[n]`, NaN where there is none."""
        column = self._columns.get(name, [''] * self._count)
        return np.array([float(value) if value else np.nan for value in column])

    def write(self) -> None:
        """Writes the file whole."""
        columns = {**self._described, **self._columns}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as temporary, temporary.open(
                'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

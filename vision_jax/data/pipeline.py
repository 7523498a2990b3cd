"""From a source to batches, by Grain: batch n is a function of the seed and n, and of nothing else.

So the position is one number, whatever the number of worker processes; a run resumes at it exactly,
also with another number of processes or hosts (of a global batch, process p reads its slice).
"""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grain
import numpy as np
from absl import flags, logging

from vision_jax.core.errors import InputError
from vision_jax.data.episodes import EpisodeSampler
from vision_jax.data.reading import BatchReader, Preprocessing
from vision_jax.data.sources import Source

Batch = dict[str, Any]


class BatchIterator:
    """Iterates over the batches of a random-access data set of batches, from a position.

    `skipped` maps the source index of each corrupt image met so far to its path.

    Args:
        batches: Batch n at index n, each read in one piece.
        source: What the batches are read from, to name corrupt images.
        config: `workers` (processes; 0 reads in threads of this one), `threads`, `read_ahead`.
    """

    def __init__(self, batches: grain.MapDataset, source: Source, config):
        self._batches, self._source = batches, source
        self._workers = config.get('workers', 0)
        self._threads = config.get('threads', 2)
        self._read_ahead = config.get('read_ahead', 4)
        self._position, self._running = 0, None
        self.skipped: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> 'BatchIterator':
        return self

    def __next__(self) -> Batch:
        if self._running is None:
            self._running = self._start()
        batch = next(self._running)
        self._position += 1
        self._note_skipped(batch)
        return batch

    def get_state(self) -> dict[str, int]:
        """The position, as JSON holds it: how many batches have been handed out."""
        return {'batches': self._position}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes to a position that `get_state` gave."""
        self.close()
        self._position = int(state['batches'])

    def close(self) -> None:
        """Stops the reading threads and processes; the next batch starts them again."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _start(self):
        options = grain.ReadOptions(
            num_threads=self._threads, prefetch_buffer_size=self._read_ahead)
        batches = self._batches[self._position:].to_iter_dataset(options)
        if self._workers:
            if not flags.FLAGS.is_parsed():  # Grain reads a flag, also where no app parsed any
                flags.FLAGS.mark_as_parsed()
            batches = batches.mp_prefetch(grain.MultiprocessingOptions(
                num_workers=self._workers, per_worker_buffer_size=self._read_ahead))
        return iter(batches)

    def _note_skipped(self, batch: Batch) -> None:
        parts = [batch] if 'skipped' in batch else [batch['support'], batch['query']]
        for index in np.concatenate([part.pop('skipped').ravel() for part in parts]).tolist():
            if index >= 0 and index not in self.skipped:
                paths = self._source.column('path') if 'path' in self._source.columns else None
                self.skipped[index] = f'number {index}' if paths is None else str(paths[index])
                logging.warning('skipped corrupt image %s (%d so far)', self.skipped[index],
                                len(self.skipped))


def train_iterator(source: Source, config, *, seed: int = 0, process_index: int = 0,
                   process_count: int = 1) -> BatchIterator:
    """Endless shuffled batches.

    Args:
        source: The examples.
        config: The `data` section: `batch_size` (over all processes; of episodes, where there
            are any), `resize` (shorter side, 0: none), `resize_kernel`, `crop` (side, 0: none),
            `flip`, `on_corrupt` (`'stop'` or `'skip'`), `workers`, `threads`, `read_ahead`, and
            optionally `episodes` (`support`, `query`, `group`, `disjoint_references`).
        seed: Fixes the order, the crops, the flips and the episodes.
        process_index: Which slice of each batch this process reads.
        process_count: How many slices there are.

    Returns:
        An iterator of dicts: `image` float32 `[b, s, s, 3]` in [0, 1] and the source's numbers
        `[b]`; with episodes `{'support': {... [t, k]}, 'query': {... [t, q]}}`.

    Raises:
        InputError: On an empty source, a bad option, or a batch that the processes cannot share.
        CorruptImageError: While iterating, where `on_corrupt` is `'stop'`.

    Notes:
        Each epoch has an order of its own, and a batch may reach over the end of one. With
        `on_corrupt='skip'` another image, drawn from (seed, position), takes a corrupt one's place;
        in an episode, one of the same group.
    """
    size = share_of_batch(config['batch_size'], process_count)
    reader = BatchReader(source, Preprocessing.from_config(config, train=True), seed=seed,
                         on_corrupt=config.get('on_corrupt', 'stop'))
    episodes = dict(config.get('episodes', None) or {})
    if episodes:
        episodes.pop('evaluate', None)
        sampler = EpisodeSampler(source, seed=seed, **episodes)
        numbers = grain.MapDataset.range(2**40)
        read = _EpisodeBatch(reader, sampler, episodes['support'], episodes['query'])
    else:
        numbers = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat()
        read = _TrainBatch(reader)
    # [B] numbers of a global batch, then this process's slice of them, then the examples.
    batches = numbers.batch(size * process_count).map_with_index(
        _Slice(read, size, process_index))
    return BatchIterator(batches, source, config)


def eval_batches(source: Source, config, *, seed: int = 0, process_index: int = 0,
                 process_count: int = 1) -> BatchIterator:
    """One pass in order, the last batch padded; every process gets the same number of batches.

    Args:
        source: The examples.
        config: As for `train_iterator`; `eval_batch_size` where it differs from `batch_size`.
            Images are cropped in the middle and not flipped. `episodes.evaluate` says how many
            episodes are drawn (default 100).
        seed: Fixes the episodes.
        process_index: Which slice of each batch this process reads.
        process_count: How many slices there are.

    Returns:
        An iterator of batches as in `train_iterator`, with `mask` float32 `[b]`: 0 for padding,
        and for corrupt images where they are skipped; with episodes it is `[t]`.
    """
    size = share_of_batch(config.get('eval_batch_size', 0) or config['batch_size'], process_count)
    reader = BatchReader(source, Preprocessing.from_config(config, train=False), seed=seed,
                         on_corrupt=config.get('on_corrupt', 'stop'))
    episodes = dict(config.get('episodes', None) or {})
    if episodes:
        total = episodes.pop('evaluate', 100)
        # Another stream than that of training with the same seed.
        sampler = EpisodeSampler(source, seed=seed + 2**32, **episodes)
        read = _EpisodeBatch(reader, sampler, episodes['support'], episodes['query'], total)
    else:
        total = len(source)
        read = _EvalBatch(reader, total)
    global_size = size * process_count
    padded = -(-total // global_size) * global_size
    batches = grain.MapDataset.range(padded).batch(global_size).map_with_index(
        _Slice(read, size, process_index))
    return BatchIterator(batches, source, config)


def share_of_batch(batch_size: int, process_count: int) -> int:
    """How many examples of a global batch one process reads."""
    if batch_size < 1 or batch_size % process_count:
        raise InputError(f'data.batch_size={batch_size} is not a positive multiple of the '
                         f'{process_count} processes')
    return batch_size // process_count


def prefetch_to_device(iterator: BatchIterator, place: Callable[[Batch], Any], *, size: int = 2,
                       ) -> Iterator[tuple[Any, dict[str, int]]]:
    """Places batches on devices ahead of their use.

    Args:
        iterator: Host batches with `get_state`.
        place: Puts a host batch on the devices; it returns at once, the copy runs on.
        size: How many placed batches wait, at least 1.

    Yields:
        `(placed batch, the iterator's state after that batch)`. The state is that of what was
        handed out, not of what was read ahead: a checkpoint with it repeats and loses nothing.
    """
    waiting: collections.deque = collections.deque()
    for batch in iterator:
        waiting.append((place(batch), iterator.get_state()))
        if len(waiting) > size:
            yield waiting.popleft()
    yield from waiting


class _Slice:
    """Reads this process's part of global batch `number`."""

    def __init__(self, read: Callable, size: int, process_index: int):
        self._read, self._size, self._start = read, size, size * process_index

    def __call__(self, number: int, members: Iterable[int]) -> Batch:
        part = slice(self._start, self._start + self._size)
        positions = int(number) * len(members) + np.arange(len(members))
        return self._read(positions[part], np.asarray(members)[part])


class _TrainBatch:
    def __init__(self, reader: BatchReader):
        self._reader = reader

    def __call__(self, positions: np.ndarray, members: np.ndarray) -> Batch:
        return self._reader.stack([
            self._reader.read(int(member), position=int(position), replace=True)
            for position, member in zip(positions, members, strict=True)])


class _EvalBatch:
    def __init__(self, reader: BatchReader, total: int):
        self._reader, self._total = reader, total

    def __call__(self, positions: np.ndarray, members: np.ndarray) -> Batch:
        return self._reader.read_masked([i if i < self._total else None for i in members])


class _EpisodeBatch:
    def __init__(self, reader: BatchReader, sampler: EpisodeSampler, support: int, query: int,
                 total: int | None = None):
        self._reader, self._sampler, self._total = reader, sampler, total
        self._support, self._query = support, query

    def __call__(self, positions: np.ndarray, members: np.ndarray) -> Batch:
        episodes = [self._read(int(i)) for i in members]
        batch = {part: self._reader.stack([episode[part] for episode in episodes])
                 for part in ('support', 'query')}
        if self._total is not None:
            batch['mask'] = (members < self._total).astype(np.float32)
        return batch

    def _read(self, index: int) -> Batch:
        support, query = self._sampler(index)
        return {
            'support': self._reader.read_first(support, self._support, position=(index, 0)),
            'query': self._reader.read_first(query, self._query, position=(index, 1)),
        }

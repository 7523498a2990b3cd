"""Scores pairs of files by many metrics: files are decoded and metrics computed at the same time.

Pictures of one size share a batch; nothing is ever resized or padded to fit one. The first batch of
a size decides how many pairs a program of that size takes, each metric is compiled once for it, and
a last batch is filled up with copies whose scores are dropped.

Each metric is a program of its own, run from as many threads as there are cores: a program alone
leaves cores idle where it is not parallel (measured on two cores: 1.6 busy in turn, 1.9 this way).
"""

import collections
import concurrent.futures
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data import images, pair_reading
from vision_jax.data.pair_files import FilePair
from vision_jax.evaluators.asked_metrics import Asked

BATCH_PIXELS = 2 ** 20  # of a batch: 4 pairs of 512x512
LARGEST_BATCH = 32
ALONE_PIXELS = 2 ** 23  # from here on, metrics take turns: each needs gigabytes
BYTES_WAITING = 2 ** 28  # of decoded pictures whose batch is not full
BATCHES_IN_WORK = 3
PRECISIONS = ('float32', 'float64')
MANY_SIZES, LONG_SECONDS = 4, 10.0


class Scored(NamedTuple):
    """What came of a pair, or of a frame of one.

    Attributes:
        index: Of the pair.
        frame: Of a video, counted from 0; None for the pair as a whole, which for a video is the
            mean over its frames.
        values: Label of a metric to the score; without those that could not be computed.
        errors: What went wrong, each in one line that names the file.
        maps: Label to the local errors `[h', w']`, where maps were asked for.
    """

    index: int
    frame: int | None
    values: dict[str, float]
    errors: tuple[str, ...] = ()
    maps: dict[str, np.ndarray] = {}


def score_files(pairs: Sequence[FilePair], metrics: Sequence[Asked], *, alpha: str = 'refuse',
                max_pixels: int = images.MAX_PIXELS, precision: str = 'float32',
                maps: bool = False, note: Callable[[str], None] = lambda text: None,
                ) -> Iterator[Scored]:
    """Scores each pair by each metric.

    Args:
        pairs: Files of pictures or videos.
        metrics: From `asked_metrics.parse`.
        alpha: As in `images.read`.
        max_pixels: As in `images.read`.
        precision: 'float32' or 'float64', in which metrics compute.
        maps: Also give the local errors of pictures, by the metrics that have a map: how far it is
            at each place from what it is of equal pictures.
        note: Is told, in one line, what a person may want to know: grey beside colour, many sizes.

    Yields:
        Each pair once, with `frame` None, and before it each frame of a video. The order is that
        in which batches are done.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision: expected {' or '.join(PRECISIONS)}, got '{precision}'")
    programs = _Programs(metrics, precision, maps, note)
    batches, videos, mixed = _Batches(programs), _Videos(pairs), 0
    files = pair_reading.read_pairs(pairs, alpha=alpha, max_pixels=max_pixels)
    try:
        for item in files:
            if isinstance(item, pair_reading.Decoded):
                mixed += item.reference.shape != item.distorted.shape
                yield from _report(batches.add(item), pairs, videos)
            elif isinstance(item, pair_reading.Ended):
                yield from videos.end(item)
            else:
                videos.drop(item.index)
                yield Scored(item.index, None, {}, (item.reason,))
        yield from _report(batches.finish(), pairs, videos)
    finally:
        files.close()
        programs.close()
    if mixed:
        note(f'{mixed} pairs are of a grey and a colour picture: the grey one was repeated to RGB')
    programs.note_compiling()


def _report(done, pairs: Sequence[FilePair], videos: '_Videos') -> Iterator[Scored]:
    """Names the files in what went wrong; joins the frames of a video."""
    for item, values, errors, maps in done:
        name = images.show(pairs[item.index].distorted)
        scored = Scored(item.index, item.frame, values, tuple(f'{name}: {e}' for e in errors), maps)
        if item.frame is None:
            yield scored
        else:
            yield scored._replace(errors=())
            yield from videos.add(scored)


class _Programs:
    """The metrics, compiled once a kind of pair (its sizes and types) for a number of pairs."""

    def __init__(self, metrics: Sequence[Asked], precision: str, maps: bool, note):
        self._metrics, self._precision, self._maps, self._note = metrics, precision, maps, note
        self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
        self._compiled: dict[tuple, tuple[int, dict[str, Any]]] = {}
        self._seconds, self._told = 0.0, False
        self._alone = threading.Lock()

    def batch_size(self, kind: tuple) -> int:
        """How many pairs of a kind make a full batch."""
        if kind in self._compiled:
            return self._compiled[kind][0]
        height, width = kind[0][0][:2]
        return max(1, min(LARGEST_BATCH, BATCH_PIXELS // (height * width)))

    def start(self, kind: tuple, reference: np.ndarray, distorted: np.ndarray):
        """Begins to score a batch; gives label to a future of (scores, maps) or the reason."""
        if kind not in self._compiled:
            self._compile(kind, len(reference))
        missing = self.batch_size(kind) - len(reference)
        if missing:
            reference, distorted = (np.concatenate([images, np.repeat(images[-1:], missing, 0)])
                                    for images in (reference, distorted))
        return {label: program if isinstance(program, str) else
                self._pool.submit(self._run, program, reference, distorted)
                for label, program in self._compiled[kind][1].items()}

    def _compile(self, kind: tuple, size: int) -> None:
        start = time.monotonic()
        shapes = [jax.ShapeDtypeStruct((size, *shape), dtype) for shape, dtype in kind]
        waiting = {m.label: self._pool.submit(self._program, m, shapes) for m in self._metrics}
        programs = {label: future.result() for label, future in waiting.items()}
        self._compiled[kind] = (size, programs)
        self._seconds += time.monotonic() - start
        if len(self._compiled) >= MANY_SIZES and self._seconds > LONG_SECONDS:
            self.note_compiling()

    def note_compiling(self) -> None:
        """Says, once, when it is the number of sizes that takes the time."""
        if len(self._compiled) >= MANY_SIZES and self._seconds > LONG_SECONDS and not self._told:
            self._told = True
            self._note(f'{len(self._compiled)} sizes so far, compiled in {self._seconds:.0f} s: '
                       'each size is compiled once, and no picture is resized or padded to share '
                       'one; pictures of few sizes, or JAX_COMPILATION_CACHE_DIR=folder, are '
                       'faster')

    def _program(self, metric: Asked, shapes) -> Any:
        """A compiled metric, or in one line why it does not take such pictures."""
        def compute(reference, distorted):
            pair = (_to_unit(image, self._precision) for image in (reference, distorted))
            return _compute(metric, *pair, self._maps)

        try:
            with jax.enable_x64(self._precision == 'float64'):
                return jax.jit(compute).lower(*shapes).compile()
        except InputError as error:
            return f'{metric.label}: {error}'

    def _run(self, program, reference: np.ndarray, distorted: np.ndarray):
        large = reference[..., 0].size > ALONE_PIXELS
        with jax.enable_x64(self._precision == 'float64'), (
                self._alone if large else contextlib.nullcontext()):
            return jax.device_get(program(reference, distorted))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _compute(metric: Asked, reference, distorted, maps: bool):
    """Scores `[b]` and, where asked for, local errors `[b, h', w']`."""
    channels = max(reference.shape[-1], distorted.shape[-1])
    if channels == 1 and 1 not in metric.row.channels:
        channels = 3
    side = min(reference.shape[1:3])
    if side < metric.row.min_side:
        raise InputError(f'needs sides of at least {metric.row.min_side} pixels, got {side}')
    reference, distorted = (_with_channels(image, channels) for image in (reference, distorted))
    if not (maps and metric.row.has_map):
        return metric.function(reference, distorted), None
    scores, local = metric.function(reference, distorted, return_map=True)
    _, equal = metric.function(reference, reference, return_map=True)
    error = jnp.abs(local - equal)
    error = error.reshape(len(error), -1, *error.shape[-2:])  # some maps have several planes
    return scores, error.mean(1)


def _to_unit(image, precision: str):
    """Values in [0, 1]."""
    white = images.WHITE[image.dtype.name]
    image = image.astype(precision)
    return image if white == 1 else image / white


def _with_channels(image, channels: int):
    return image if image.shape[-1] == channels else jnp.repeat(image, channels, axis=-1)


class _Batches:
    """Gathers decoded pairs by kind; at most so many bytes wait, and so many batches are in work.

    What it gives are (decoded pair, values, errors, maps).
    """

    def __init__(self, programs: _Programs):
        self._programs = programs
        self._waiting: dict[tuple, list] = collections.defaultdict(list)
        self._bytes = 0
        self._working: collections.deque = collections.deque()

    def add(self, item: pair_reading.Decoded):
        """Takes a pair; gives what is done by now."""
        kind = tuple((image.shape, image.dtype.name) for image in item[2:])
        self._waiting[kind].append(item)
        self._bytes += _bytes(item)
        if len(self._waiting[kind]) >= self._programs.batch_size(kind):
            self._start(kind)
        while self._bytes > BYTES_WAITING:
            self._start(max(self._waiting, key=lambda kind: sum(map(_bytes, self._waiting[kind]))))
        while self._working and (self._is_busy() or self._first_is_done()):
            yield from self._take()

    def finish(self):
        """Gives all the rest."""
        for kind in list(self._waiting):
            while kind in self._waiting:
                self._start(kind)
                if self._is_busy():
                    yield from self._take()
        while self._working:
            yield from self._take()

    def _start(self, kind: tuple) -> None:
        """Begins to score what waits of a kind, at most a full batch of it."""
        size = self._programs.batch_size(kind)
        waiting = self._waiting.pop(kind)
        items, rest = waiting[:size], waiting[size:]
        if rest:
            self._waiting[kind] = rest
        self._bytes -= sum(map(_bytes, items))
        reference = np.stack([item.reference for item in items])
        distorted = np.stack([item.distorted for item in items])
        self._working.append((items, self._programs.start(kind, reference, distorted)))

    def _is_busy(self) -> bool:
        held = sum(_bytes(item) for items, _ in self._working for item in items)
        return len(self._working) > BATCHES_IN_WORK or held > BYTES_WAITING

    def _first_is_done(self) -> bool:
        return all(isinstance(f, str) or f.done() for f in self._working[0][1].values())

    def _take(self):
        items, running = self._working.popleft()
        found = {label: future if isinstance(future, str) else future.result()
                 for label, future in running.items()}
        errors = [reason for reason in found.values() if isinstance(reason, str)]
        found = {label: part for label, part in found.items() if not isinstance(part, str)}
        for row, item in enumerate(items):
            # the shortest decimal that is this number in its own precision
            values = {label: float(str(scores[row])) for label, (scores, _) in found.items()}
            yield (item, values, errors, {label: local[row] for label, (_, local) in found.items()
                            if local is not None and item.frame is None})


def _bytes(item: pair_reading.Decoded) -> int:
    return item.reference.nbytes + item.distorted.nbytes


class _Videos:
    """The frames of each video that are scored so far."""

    def __init__(self, pairs: Sequence[FilePair]):
        self._pairs = pairs
        self._frames: dict[int, list[Scored]] = collections.defaultdict(list)
        self._expected: dict[int, float] = {}

    def add(self, scored: Scored) -> Iterator[Scored]:
        """Takes a frame; gives the video when it is the last."""
        index = scored.index
        if self._expected.get(index) != -1:
            self._frames[index].append(scored)
            yield from self._whole(index)

    def end(self, ended: pair_reading.Ended) -> Iterator[Scored]:
        """Takes the number of frames; gives the video when all are scored."""
        self._expected[ended.index] = ended.frames
        yield from self._whole(ended.index)

    def drop(self, index: int) -> None:
        """Forgets a video that could not be read to its end."""
        self._expected[index] = -1
        self._frames.pop(index, None)

    def _whole(self, index: int) -> Iterator[Scored]:
        if len(self._frames[index]) != self._expected.get(index, math.inf):
            return
        frames = self._frames.pop(index)
        errors = tuple(dict.fromkeys(error for frame in frames for error in frame.errors))
        labels = [label for label in frames[0].values
                  if all(label in frame.values for frame in frames)]
        means = {label: float(np.mean([frame.values[label] for frame in frames]))
                 for label in labels}
        yield Scored(index, None, means, errors)

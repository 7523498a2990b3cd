"""Reads pairs of files ahead in threads, in order, within a limit of memory."""

import collections
import concurrent.futures
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data import images, video
from vision_jax.data.pair_files import FilePair

BYTES_AHEAD = 2 ** 28
END = object()


class Decoded(NamedTuple):
    """Two pictures of one size, as `images.read` gives them.

    Attributes:
        index: Of the pair.
        frame: Of a video, counted from 0; None of a picture.
        reference: `[h, w, 1 or 3]`.
        distorted: The same height and width.
    """

    index: int
    frame: int | None
    reference: np.ndarray
    distorted: np.ndarray


class Ended(NamedTuple):
    """A pair of videos was read to its end.

    Attributes:
        index: Of the pair.
        frames: How many there were.
    """

    index: int
    frames: int


class Unreadable(NamedTuple):
    """A pair that cannot be compared.

    Attributes:
        index: Of the pair.
        reason: One line that names the file.
    """

    index: int
    reason: str


def read_pairs(pairs: Iterable[FilePair], *, alpha: str = 'refuse',
               max_pixels: int = images.MAX_PIXELS, threads: int | None = None,
               bytes_ahead: int = BYTES_AHEAD) -> Iterator[Decoded | Ended | Unreadable]:
    """Decodes pairs, the next ones while the caller works on this one.

    Args:
        pairs: What to read; two videos are read frame by frame.
        alpha: As in `images.read`.
        max_pixels: As in `images.read`.
        threads: How many decode; as many as there are cores by default.
        bytes_ahead: About how much memory pictures that wait may fill. A single pair may be larger.

    Yields:
        In the order of the pairs: `Decoded` or `Unreadable` of pictures; of videos a `Decoded` a
        frame and then `Ended`, or `Unreadable` from where something is wrong.
    """
    waiting: collections.deque = collections.deque()
    ahead = 0
    pool = concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count())

    def first():
        nonlocal ahead
        size, result = waiting.popleft()
        ahead -= size
        return result.result()

    try:
        for index, pair in enumerate(pairs):
            if any(map(video.is_video, pair)):
                while waiting:
                    yield first()
                yield from _read_videos(index, pair, max_pixels)
                continue
            size = _decoded_bytes(pair, max_pixels)
            while waiting and (ahead + size > bytes_ahead or waiting[0][1].done()):
                yield first()
            ahead += size
            waiting.append((size, pool.submit(_read, index, pair, alpha, max_pixels)))
        while waiting:
            yield first()
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded_bytes(pair: FilePair, max_pixels: int) -> int:
    """About what a pair will fill; 0 if it cannot be read, which `_read` will say."""
    try:
        return sum(images.decoded_bytes(path, max_pixels=max_pixels) for path in pair)
    except InputError:
        return 0


def _read(index: int, pair: FilePair, alpha: str, max_pixels: int) -> Decoded | Unreadable:
    try:
        reference, distorted = (
            images.read(path, alpha=alpha, max_pixels=max_pixels) for path in pair)
        _check_sizes(pair, reference, distorted)
    except InputError as error:
        return Unreadable(index, str(error))
    return Decoded(index, None, reference, distorted)


def _read_videos(index: int, pair: FilePair,
                 max_pixels: int) -> Iterator[Decoded | Ended | Unreadable]:
    number = 0
    try:
        streams = [_moving(path, pair, max_pixels) for path in pair]
        while True:
            both = [next(stream, END) for stream in streams]
            if both[0] is END and both[1] is END:
                break
            if both[0] is END or both[1] is END:
                raise InputError(f'{images.show(pair[both[0] is not END])} ends after {number} '
                                 f'frames, {images.show(pair[both[0] is END])} goes on')
            _check_sizes(pair, *both)
            yield Decoded(index, number, *both)
            number += 1
        if not number:
            raise InputError(f'{images.show(pair.reference)}: no frames')
    except InputError as error:
        yield Unreadable(index, str(error))
    else:
        yield Ended(index, number)


def _moving(path, pair: FilePair, max_pixels: int) -> Iterator[np.ndarray]:
    if not video.is_video(path):
        raise InputError(f'{images.show(path)} is a picture, but '
                         f'{images.show(pair[path is pair[0]])} a video')
    return video.frames(path, max_pixels=max_pixels)


def _check_sizes(pair: FilePair, reference: np.ndarray, distorted: np.ndarray) -> None:
    if reference.shape[:2] != distorted.shape[:2]:
        (height, width), (other_height, other_width) = reference.shape[:2], distorted.shape[:2]
        raise InputError(f'{images.show(pair.distorted)} has {other_width}x{other_height} pixels, '
                         f'its reference {images.show(pair.reference)} {width}x{height}')

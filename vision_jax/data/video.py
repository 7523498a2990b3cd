"""Frames of a video, one at a time, by PyAV, which the extra `video` brings."""

import contextlib
import importlib
import pathlib
from collections.abc import Iterator

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data import images

SUFFIXES = frozenset({'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.ts', '.webm',
                      '.wmv', '.y4m'})


def is_video(path: pathlib.Path) -> bool:
    """Whether a file is one, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def frames(path: pathlib.Path, *, max_pixels: int = images.MAX_PIXELS) -> Iterator[np.ndarray]:
    """The frames of the first video stream, in the order of display, as RGB.

    Args:
        path: The file.
        max_pixels: Larger frames are refused.

    Yields:
        `[h, w, 3]`: uint8, or uint16 where the stream has more than 8 bits.

    Raises:
        InputError: If PyAV is not installed, or the file cannot be decoded.
    """
    try:
        av = importlib.import_module('av')
    except ImportError:
        raise InputError(f'{images.show(path)}: reading video needs PyAV; run: '
                         "pip install 'vision_jax[video]'") from None
    with _naming(path, av), av.open(str(path)) as container:
        if not container.streams.video:
            raise InputError('no video stream')
        stream = container.streams.video[0]
        stream.thread_type = 'AUTO'
        kinds = av.video.reformatter.Interpolation
        # FFmpeg's conversion to RGB by default is up to 3 of 255 off, and 1 too dark on average.
        exact = kinds.FULL_CHR_H_INT | kinds.ACCURATE_RND
        for frame in container.decode(stream):
            if frame.width * frame.height > max_pixels:
                raise InputError(f'frames of {frame.width}x{frame.height} pixels are more than '
                                 f'max_pixels={max_pixels}')
            deep = max(component.bits for component in frame.format.components) > 8
            yield frame.to_ndarray(format='rgb48le' if deep else 'rgb24', interpolation=exact)


@contextlib.contextmanager
def _naming(path, av) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, InputError, ValueError, OSError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise InputError(f'{images.show(path)}: {" ".join(str(reason).split())}') from (
            None if isinstance(error, InputError) else error)

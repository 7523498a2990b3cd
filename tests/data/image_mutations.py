"""Damaged image files: the same ones for the same seed."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

FORMATS = {
    'png': ('PNG', {}),
    'jpg': ('JPEG', {'quality': 80}),
    'webp': ('WEBP', {'quality': 80}),
    'tif': ('TIFF', {'compression': 'tiff_lzw'}),
    'bmp': ('BMP', {}),
}
HEADER = 96  # bytes in which sizes, offsets and depths stand
EXTREMES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def encodings(suffix: str, side: int = 48) -> list[bytes]:
    """The same picture as several files of a format: colour, grey, alpha, palette, raw."""
    random = np.random.default_rng(1)
    smooth = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).resize((side, side))
    name, options = FORMATS[suffix]
    files = []
    for mode, more in (('RGB', {}), ('L', {}), ('RGBA', {}), ('P', {}), ('I;16', {}),
                       ('RGB', RAW.get(suffix, {}))):
        picture = smooth.convert(mode) if mode != 'I;16' else Image.fromarray(
            np.asarray(smooth.convert('L')).astype(np.uint16) * 257)
        exif = Image.Exif()
        exif[0x0112] = 6
        file = io.BytesIO()
        try:
            picture.save(file, name, exif=exif, **{**options, **more})
        except (OSError, ValueError):  # the format has no such mode
            continue
        files.append(file.getvalue())
    return files


RAW = {'tif': {'compression': None}, 'webp': {'lossless': True}, 'jpg': {'progressive': True},
       'png': {'compress_level': 0}}


def mutants(suffix: str, count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Files with flipped bits, cut ends, parts moved, repeated or taken from another, and headers
    with other numbers."""
    random = np.random.default_rng((seed, *suffix.encode()))
    originals = encodings(suffix)
    for _ in range(count):
        data = np.frombuffer(originals[random.integers(len(originals))], np.uint8).copy()
        for _ in range(random.integers(1, 4)):
            other = np.frombuffer(originals[random.integers(len(originals))], np.uint8)
            data = MUTATIONS[random.integers(len(MUTATIONS))](random, data, other)
        yield data.tobytes()


def _flip(random, data, other):
    places = random.integers(data.size, size=random.integers(1, 9)) if data.size else []
    data[places] ^= np.uint8(1) << random.integers(8, size=len(places)).astype(np.uint8)
    return data


def _cut(random, data, other):
    return data[:random.integers(data.size + 1)]


def _splice(random, data, other):
    start, end = sorted(random.integers(other.size + 1, size=2))
    place = random.integers(data.size + 1)
    keep = place if random.random() < 0.5 else min(data.size, place + end - start)
    return np.concatenate([data[:place], other[start:end], data[keep:]])


def _edit_header(random, data, other):
    count = random.integers(1, 5)
    place = random.integers(max(1, min(HEADER, data.size - 3)))
    data[place:place + count] = random.choice(EXTREMES)
    return data


def _edit_anywhere(random, data, other):
    place = random.integers(max(1, data.size - 3))
    data[place:place + 4] = random.choice(EXTREMES)
    return data


MUTATIONS = (_flip, _cut, _splice, _edit_header, _edit_anywhere)

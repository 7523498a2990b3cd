"""Reading pictures: every bit of them, upright, and one line about each that cannot be read."""

import os
import pathlib
import resource
import signal
import struct
import time
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.data import image_mutations
from vision_jax.core.errors import InputError
from vision_jax.data import images

SLOWEST_SECONDS = 5
MOST_MEGABYTES = 300
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def tiff_header(side: int) -> bytes:
    """A TIFF of one strip of grey, whose bytes are missing."""
    tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: side,
            279: side * side % 2 ** 32}
    entries = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags.items())
    return b'II*\0' + struct.pack('<IH', 8, len(tags)) + entries + bytes(80)


def png(values: np.ndarray, *more: bytes) -> bytes:
    """An uncompressed-filter PNG of 16 bits; `more` are chunks before the data."""
    height, width, channels = values.shape
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
    header = struct.pack('>IIBBBBB', width, height, 16, PNG_COLOURS[channels], 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + b''.join(more)
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize('channels', PNG_COLOURS)
def test_16_bits_of_a_png_are_kept(channels, random, tmp_path):
    values = random.integers(0, 65536, (13, 17, channels), np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    (tmp_path / 'x.png').write_bytes(png(values))
    found = images.read(tmp_path / 'x.png')
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, values[..., :channels - (channels % 2 == 0)])


@pytest.mark.parametrize('options', [{}, {'rowsperstrip': 4}, {'tile': (16, 16)},
                                     {'compression': 'zlib'},
                                     {'compression': 'zlib', 'predictor': True}], ids=str)
@pytest.mark.parametrize('byteorder', '<>')
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_16_bits_of_a_tiff_are_kept(channels, byteorder, options, random, tmp_path):
    values = random.integers(0, 65536, (33, 37, channels), np.uint16)
    extra = {'extrasamples': ['unassalpha']} if channels == 4 else {}
    values[..., 3:] = 65535
    tifffile.imwrite(tmp_path / 'x.tif', values if channels > 1 else values[..., 0],
                     photometric='rgb' if channels > 1 else 'minisblack', byteorder=byteorder,
                     **extra, **options)
    np.testing.assert_array_equal(images.read(tmp_path / 'x.tif'), values[..., :3])


def test_floats_in_the_unit_range_are_kept(random, tmp_path):
    values = random.random((9, 8), np.float32)
    tifffile.imwrite(tmp_path / 'x.tif', values)
    np.testing.assert_array_equal(images.read(tmp_path / 'x.tif')[..., 0], values)
    tifffile.imwrite(tmp_path / 'x.tif', values * 2)
    with pytest.raises(InputError, match=r'x.tif: floats outside \[0, 1\]'):
        images.read(tmp_path / 'x.tif')


@pytest.mark.parametrize(('write', 'message'), [
    (lambda p, x: tifffile.imwrite(p, x, photometric='miniswhite'), '0 is white'),
    (lambda p, x: tifffile.imwrite(p, np.stack([x] * 3), photometric='rgb', compression='zlib',
                                   planarconfig='separate'), 'planes'),
    (lambda p, x: tifffile.imwrite(p, x.astype(np.int32)), '32-bit integers'),
    (lambda p, x: p.write_bytes(b'P6 9 8 65535\n' + x.tobytes() * 3), 'PPM with over 8 bits'),
    (lambda p, x: p.write_bytes(png(x[..., None], chunk(b'tRNS', b'\0\1'))), 'transparent colour'),
    (lambda p, x: Image.new('CMYK', (9, 9)).save(p, 'TIFF'), 'the colours are CMYK'),
    (lambda p, x: Image.new('CMYK', (9, 9)).save(p, 'JPEG'), 'the colours are CMYK'),
    (lambda p, x: Image.new('LAB', (9, 9)).save(p, 'TIFF'), 'the colours are LAB'),
    (lambda p, x: p.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n'), 'no picture'),
    (lambda p, x: p.write_bytes(b''), 'no picture'),
    (lambda p, x: p.mkdir(), 'not a file'),
    (lambda p, x: os.mkfifo(p), 'not a file'),
    (lambda p, x: None, 'No such file'),
])
def test_what_would_be_read_wrongly_is_refused(write, message, tmp_path):
    path = tmp_path / 'x'
    write(path, np.arange(72, dtype=np.uint16).reshape(8, 9))
    with pytest.raises(InputError, match=f'^{path}: .*{message}') as raised:
        images.read(path)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(('mode', 'suffix', 'channels'), [
    ('1', 'png', 1), ('L', 'jpg', 1), ('P', 'png', 3), ('P', 'gif', 3), ('YCbCr', 'tif', 3),
    ('RGB', 'bmp', 3), ('1', 'ppm', 1)])
def test_modes_become_grey_or_colour(mode, suffix, channels, random, tmp_path):
    picture = Image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)).convert(mode)
    picture.save(tmp_path / f'x.{suffix}')
    found = images.read(tmp_path / f'x.{suffix}')
    assert (found.shape, found.dtype) == ((9, 7, channels), np.uint8)
    if suffix != 'jpg':
        expected = np.asarray(picture.convert('L' if channels == 1 else 'RGB'))
        np.testing.assert_array_equal(found.squeeze(), expected)


def test_transparent_pixels_are_refused_or_put_on_a_background(tmp_path):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[...] = (255, 100, 0, 51)  # a fifth
    Image.fromarray(pixels).save(tmp_path / 'x.png')
    with pytest.raises(InputError, match='transparent pixels; alpha=black'):
        images.read(tmp_path / 'x.png')
    with pytest.raises(InputError, match="did you mean 'white'"):
        images.read(tmp_path / 'x.png', alpha='whit')
    colour = np.array([1, 100 / 255, 0])
    for alpha, background in (('black', 0), ('white', 1)):
        found = images.read(tmp_path / 'x.png', alpha=alpha)
        np.testing.assert_allclose(found[3, 4], 0.2 * colour + 0.8 * background, atol=1e-6)
    checker = images.read(tmp_path / 'x.png', alpha='checker')
    np.testing.assert_allclose(checker[0, 0], 0.2 * colour + 0.8 * 0.4, atol=1e-6)
    np.testing.assert_allclose(checker[7, 8], 0.2 * colour + 0.8 * 0.6, atol=1e-6)


def test_a_transparent_colour_of_a_palette_counts_as_alpha(tmp_path):
    picture = Image.new('P', (9, 9))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((0, 0), 1)
    picture.save(tmp_path / 'x.png', transparency=1)
    with pytest.raises(InputError, match='transparent pixels'):
        images.read(tmp_path / 'x.png')
    found = images.read(tmp_path / 'x.png', alpha='white')
    np.testing.assert_allclose(found[0, :2], [[1, 1, 1], np.array([10, 20, 30]) / 255], atol=1e-6)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'webp'])
def test_pictures_are_turned_upright(suffix, random, tmp_path):
    # What the first row and column of the file show: EXIF 2.32, tag 274.
    turned = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
              5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
              7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}
    pixels = random.integers(0, 256, (8, 16, 3), np.uint8)
    for orientation, turn in turned.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {'lossless': True} if suffix == 'webp' else {}
        Image.fromarray(pixels).save(tmp_path / f'x.{suffix}', exif=exif, **options)
        np.testing.assert_array_equal(images.read(tmp_path / f'x.{suffix}'), turn(pixels))


def test_bombs_are_refused_before_they_are_decoded(tmp_path):
    side = 100_000
    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    bombs = {
        'png': b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'')),
        'bmp': b'BM' + struct.pack('<IIIIiiHHIIiiII', 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0,
                                   0, 0),
        'ppm': b'P6 100000 100000 255\n',
        'tif': tiff_header(side),
        'webp': b'RIFF' + struct.pack('<I', 60) + b'WEBPVP8L' + struct.pack(
            '<IBI', 48, 0x2F, 16382 | 16382 << 14) + bytes(43),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for suffix, data in bombs.items():
        path = tmp_path / f'bomb.{suffix}'
        path.write_bytes(data)
        for read in (images.read, images.decoded_bytes):
            with pytest.raises(InputError, match='exceeds limit|more than max_pixels') as raised:
                read(path)
            assert '\n' not in str(raised.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024 * MOST_MEGABYTES
    Image.new('L', (100, 100)).save(tmp_path / 'x.png')
    with pytest.raises(InputError, match='100x100 pixels are more than max_pixels=9999'):
        images.read(tmp_path / 'x.png', max_pixels=9999)
    assert images.read(tmp_path / 'x.png', max_pixels=10_000).shape == (100, 100, 1)


def test_a_name_with_a_line_break_is_printed_in_one_line(tmp_path):
    with pytest.raises(InputError) as raised:
        images.read(tmp_path / 'two\nlines.png')
    assert '\n' not in str(raised.value)


def test_warnings_of_pillow_are_kept_back_and_others_are_not(tmp_path, monkeypatch):
    Image.new('L', (100, 100)).save(tmp_path / 'x.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 9000)  # from there to the double, a warning
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        images.read(tmp_path / 'x.png')
        assert not seen
        warnings.warn('mine', stacklevel=1)
        assert len(seen) == 1


@pytest.mark.parametrize('count', [50, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize('suffix', image_mutations.FORMATS)
def test_damaged_files_are_read_or_refused_in_one_line(suffix, count, tmp_path, capfd):
    images.silence_libtiff()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path, outcomes, slowest = tmp_path / f'x.{suffix}', {'read': 0, 'refused': 0}, 0.0
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process if a decoder hangs
    for data in image_mutations.mutants(suffix, count):
        path.write_bytes(data)
        start = time.perf_counter()
        signal.alarm(10 * SLOWEST_SECONDS)
        outcomes[_outcome(path)] += 1
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - start)
    assert min(outcomes.values()) > 0
    assert slowest < SLOWEST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024 * MOST_MEGABYTES
    assert capfd.readouterr() == ('', '')


def _outcome(path: pathlib.Path) -> str:
    message = ''
    try:
        found = images.read(path, alpha='white', max_pixels=2 ** 22)
    except InputError as error:
        message = str(error)
    if message:
        assert message.startswith(f'{path}: ')
        assert '\n' not in message
        return 'refused'
    assert found.ndim == 3
    assert found.shape[2] in (1, 3)
    assert found.dtype.name in images.WHITE
    return 'read'

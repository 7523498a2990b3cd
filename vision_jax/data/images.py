"""Reading one picture from a file that may be anything: all bits that it has, or one line why not.

PNG, JPEG, WebP, TIFF, BMP, GIF and PPM, by Pillow; of a file with several frames or pages
the first. The values are the file's own: no colour profile and no gamma is applied. The integer
type says what white is: 255 of uint8, 65535 of uint16, 1 of float32.
"""

import contextlib
import ctypes
import pathlib
import sys
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from vision_jax.core.errors import InputError, nearest

# Left out are formats whose depth Pillow cuts without a word (AVIF, JPEG 2000), and those that it
# reads by other programs (EPS).
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
SUFFIXES = frozenset({'.bmp', '.dib', '.gif', '.jfif', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm',
                      '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp'})
MAX_PIXELS = 2 ** 27
WHITE = {'uint8': 255, 'uint16': 65535, 'float32': 1}
BACKGROUNDS = {'black': (0.0, 0.0), 'white': (1.0, 1.0), 'checker': (0.4, 0.6)}
ALPHA = ('refuse', *BACKGROUNDS)
CHECKER_SIDE = 8  # pixels of a square
TIFF_PHOTOMETRIC, TIFF_PLANAR = 262, 284  # tags
COLOUR_MODES = {'1': 'L', 'RGBX': 'RGB', 'YCbCr': 'RGB', 'P': 'RGB', 'PA': 'RGBA', 'RGBa': 'RGBA',
                'La': 'LA', 'L': 'L', 'RGB': 'RGB', 'RGBA': 'RGBA', 'LA': 'LA'}


def read(path: str | pathlib.Path, *, alpha: str = 'refuse',
         max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture, turned as its EXIF orientation says.

    Args:
        path: The file.
        alpha: What is done with transparent pixels: 'refuse', or the background that they are put
            on, 'black', 'white' or 'checker' (squares of 8 pixels, .4 and .6), in the file's own
            values. An alpha channel that is opaque everywhere is dropped.
        max_pixels: A file with more is refused before it is decoded.

    Returns:
        `[h, w, 1]` or `[h, w, 3]`: uint8, uint16 (16-bit files), or float32 in [0, 1] (float TIFF,
        12-bit TIFF, and what was put on a background).

    Raises:
        InputError: One line that begins with the path.
    """
    if alpha not in ALPHA:
        raise InputError(f"alpha: unknown name '{alpha}'{nearest(alpha, ALPHA)}")
    with _naming(path), _opened(path, max_pixels) as image:
        pixels = _decode(image, lambda rawmode: _unpacked(path, max_pixels, rawmode))
        pixels = _upright(pixels, _orientation(image))
        return np.ascontiguousarray(_without_alpha(pixels, alpha))


def decoded_bytes(path: str | pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> int:
    """About how much memory `read` will fill, from the header alone; raises as `read`."""
    with _naming(path), _opened(path, max_pixels) as image:
        return 2 * image.width * image.height * len(image.getbands())


@contextlib.contextmanager
def _naming(path) -> Iterator[None]:
    """Turns whatever goes wrong with a file into one line about it.

    On a damaged file Pillow raises what its parsers happen to meet: OSError, SyntaxError,
    struct.error, KeyError, MemoryError and more.
    """
    try:
        yield
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = 'no picture in a format that is read (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM)'
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise InputError(f'{show(path)}: {reason}') from (
            None if isinstance(error, InputError) else error)


def silence_libtiff() -> None:
    """Stops the lines that libtiff prints about damaged files by itself, in the whole process.

    Does nothing where Pillow hides libtiff's functions, or has none.
    """
    with contextlib.suppress(AttributeError, OSError):
        pillow = ctypes.CDLL(Image.core.__file__)
        pillow.TIFFSetErrorHandler(None)
        pillow.TIFFSetWarningHandler(None)


def show(path: str | pathlib.Path) -> str:
    """A path as it is printed: in one line, whatever characters it has."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@contextlib.contextmanager
def _opened(path, max_pixels: int) -> Iterator[Image.Image]:
    """A file whose header was read; Pillow's warnings are kept back until it is closed."""
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError('not a file')
    with _QUIET, Image.open(path, formats=FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise InputError(f'{image.width}x{image.height} pixels are more than '
                             f'max_pixels={max_pixels}')
        yield image


def _decode(image: Image.Image, unpacked) -> np.ndarray:
    """The values as stored, `[h, w, bands]`."""
    rawmode = _rawmode(image)
    if ';16' in rawmode and len(image.getbands()) > 1:
        return _decode_deep(image, rawmode, unpacked)
    if image.mode.startswith(('I', 'F')):
        return _decode_grey(image, rawmode)[..., None]
    if image.format == 'PPM' and _greatest_of_ppm(image) > 255:
        raise InputError('PPM with over 8 bits of colour is not read; make it a PNG or TIFF')
    if image.mode not in COLOUR_MODES:
        raise InputError(f'the colours are {image.mode}; convert it to RGB with the right profile')
    mode = COLOUR_MODES[image.mode]
    if 'transparency' in image.info:
        mode = 'LA' if mode == 'L' else 'RGBA'
    pixels = np.asarray(image.convert(mode))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _decode_grey(image: Image.Image, rawmode: str) -> np.ndarray:
    """Grey of 12 or 16 bits, or floats."""
    _check_deep(image)
    values = np.asarray(image)
    if image.mode == 'F':
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError('floats outside [0, 1]: white is not known; scale it to [0, 1]')
        return values.astype(np.float32)
    if rawmode.startswith('I;12'):
        return values.astype(np.float32) / np.float32(4095)
    if image.mode == 'I' and image.format not in ('PNG', 'PPM'):
        raise InputError('signed or 32-bit integers: white is not known; make it 16-bit')
    return values.astype(np.uint16)


def _decode_deep(image: Image.Image, rawmode: str, unpacked) -> np.ndarray:
    """16 bits a channel: Pillow keeps one byte of two, so each is asked for in turn."""
    _check_deep(image)
    if rawmode == 'LA;16B':  # as four bytes of a pixel: grey and alpha, each high and low
        return unpacked('RGBA').view('>u2').astype(np.uint16)
    layout, order = rawmode[:-1], rawmode[-1]
    if layout not in ('RGB;16', 'RGBX;16', 'RGBA;16'):
        raise InputError(f'the colours are {layout}; convert it to RGB with the right profile')
    big = order == 'B' or (order == 'N' and sys.byteorder == 'big')
    high, low = (unpacked(layout + first) for first in ('BL' if big else 'LB'))
    return high.astype(np.uint16) << 8 | low


def _check_deep(image: Image.Image) -> None:
    """Refuses the layouts of more than 8 bits that Pillow reads wrongly."""
    tags = getattr(image, 'tag_v2', {})
    if tags.get(TIFF_PHOTOMETRIC) == 0:
        raise InputError('0 is white in this deep TIFF; invert it')
    if tags.get(TIFF_PLANAR) == 2:
        raise InputError('the planes of this 16-bit TIFF lie apart; store them interleaved')
    if 'transparency' in image.info:
        raise InputError('a transparent colour of 16 bits is not read; give it an alpha channel')


def _rawmode(image: Image.Image) -> str:
    """How Pillow unpacks the file's bytes."""
    arguments = image.tile[0][3] if image.tile else ''
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ''


def _greatest_of_ppm(image: Image.Image) -> int:
    """The number of white in a PPM file."""
    arguments = image.tile[0][3]
    return arguments[1] if isinstance(arguments, tuple) else 255


def _unpacked(path, max_pixels: int, rawmode: str) -> np.ndarray:
    """The file again, its bytes unpacked by another rule."""
    with _opened(path, max_pixels) as image:
        tiles = []
        for tile in image.tile:
            rest = tile.args[1:] if isinstance(tile.args, tuple) else ()
            arguments = (rawmode, *rest) if isinstance(tile.args, tuple) else rawmode
            tiles.append(tile._replace(args=arguments))
        image.tile = tiles
        return np.array(image)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it is damaged (TIFF is turned by Pillow)."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as in `_naming`; the pixels are fine
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors by the numbers of the EXIF standard."""
    if orientation in (2, 3):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4):
        pixels = pixels[::-1]
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (7, 8):
        pixels = pixels[::-1]
    return pixels


def _without_alpha(pixels: np.ndarray, alpha: str) -> np.ndarray:
    if pixels.shape[-1] in (1, 3):
        return pixels
    white = WHITE[pixels.dtype.name]
    colour, opacity = pixels[..., :-1], pixels[..., -1:]
    if (opacity == white).all():
        return colour
    if alpha == 'refuse':
        raise InputError('has transparent pixels; alpha=black, white or checker composites them')
    rows, columns = (np.arange(side) // CHECKER_SIDE for side in pixels.shape[:2])
    odd = (rows[:, None] + columns) % 2  # [h, w]
    background = np.array(BACKGROUNDS[alpha], np.float32)[odd][..., None]
    share = opacity.astype(np.float32) / np.float32(white)
    return colour.astype(np.float32) / np.float32(white) * share + background * (1 - share)


class _Quiet:
    """Ignores Pillow's warnings while any thread reads: the filters are those of the process."""

    def __init__(self):
        self._lock, self._readers = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings('ignore', module=r'PIL\.')
            self._readers += 1

    def __exit__(self, *error) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._before.__exit__(*error)


_QUIET = _Quiet()

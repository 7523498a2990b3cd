"""What workers do to one image, in NumPy and Pillow: decode, resize, crop, flip, scale to [0, 1].

Random transforms take a `numpy.random.Generator` first, so an example is a function of its seed.
"""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from vision_jax.core.errors import InputError, nearest

KERNELS = {
    'nearest': Image.Resampling.NEAREST,
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}


class CorruptImageError(InputError):
    """An image that cannot be decoded; its message names the path."""


def decode(encoded: bytes, *, path: str) -> np.ndarray:
    """Decodes an image file to 8-bit RGB; grey is repeated, transparency dropped,
    16-bit grey scaled.

    Args:
        encoded: The file's bytes, in any format that Pillow reads.
        path: Where they came from, for the message.

    Returns:
        uint8 `[h, w, 3]`.

    Raises:
        CorruptImageError: If the bytes are no image, or a truncated one.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if image.mode.startswith('I'):  # Pillow would clip 16 bits to 8 instead of scaling
                grey = (np.asarray(image) // 257).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.asarray(image.convert('RGB'))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError,
            Image.DecompressionBombError) as error:
        reason = 'not an image' if isinstance(error, UnidentifiedImageError) else error
        raise CorruptImageError(f'corrupt image {path}: {reason}') from error


def resize_shorter_side(image: np.ndarray, size: int, *, kernel: str = 'bilinear') -> np.ndarray:
    """Resizes so that the shorter side is `size`, keeping the aspect ratio.

    The kernel widens when shrinking (Pillow's antialiasing, as torchvision does on Pillow images).
    The longer side is truncated to an integer, as torchvision does.

    Args:
        image: uint8 `[h, w, 3]`.
        size: The new shorter side in pixels.
        kernel: One of `KERNELS`.

    Returns:
        uint8 `[h', w', 3]` with `min(h', w') == size`.
    """
    if kernel not in KERNELS:
        raise InputError(f"no resize kernel '{kernel}'{nearest(kernel, KERNELS)}")
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter == size:
        return image
    shape = (max(size, width * size // shorter), max(size, height * size // shorter))
    return np.asarray(Image.fromarray(image).resize(shape, KERNELS[kernel]))


def crop(image: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """Cuts the square of `side` pixels whose corner is at `(top, left)`."""
    return image[top:top + side, left:left + side]


def random_crop(generator: np.random.Generator, image: np.ndarray, side: int) -> np.ndarray:
    """Cuts a square at a uniformly drawn place: `[h, w, 3]` to `[side, side, 3]`."""
    height, width = _check_crop(image, side)
    top = int(generator.integers(height - side + 1))
    left = int(generator.integers(width - side + 1))
    return crop(image, top, left, side)


def central_crop(image: np.ndarray, side: int) -> np.ndarray:
    """Cuts the middle square: `[h, w, 3]` to `[side, side, 3]`."""
    height, width = _check_crop(image, side)
    return crop(image, (height - side) // 2, (width - side) // 2, side)


def random_flip(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Mirrors left to right with probability 1/2."""
    return image[:, ::-1] if generator.random() < 0.5 else image


def to_unit_float(image: np.ndarray) -> np.ndarray:
    """Scales 8-bit values to float32 in [0, 1]."""
    return image.astype(np.float32) / np.float32(255)


def _check_crop(image: np.ndarray, side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise InputError(f'data.crop={side} does not fit an image of {height}x{width}; '
                         f'set data.resize to {side} or more')
    return height, width

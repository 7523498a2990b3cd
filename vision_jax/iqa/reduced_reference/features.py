"""Features of a reference as bytes and as files: `.npz` without pickle, written whole.

A method's features are a NamedTuple of small arrays whose last field is `size`, the height and the
width of the reference.
"""

import io
import pathlib
import zipfile
from typing import TypeVar

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_image, is_concrete
from vision_jax.core.errors import InputError
from vision_jax.core.workdir import replacing

Features = TypeVar('Features', bound=tuple)
_METHOD = '__features__'  # the entry that says whose the arrays are


def to_bytes(features: Features) -> bytes:
    """The bytes of a file that `from_bytes` reads.

    Args:
        features: As a method's `extract` returns them, one image's or a batch's.
    """
    file = io.BytesIO()
    arrays = {name: np.asarray(value) for name, value in features._asdict().items()}
    np.savez(file, **{_METHOD: np.array(type(features).__name__)}, **arrays)
    return file.getvalue()


def from_bytes(data: bytes, *, kind: type[Features], source: str = 'features') -> Features:
    """Reads what `to_bytes` wrote.

    Args:
        data: The bytes.
        kind: The class of the method's features, as `wnism.WnismFeatures`.
        source: What the bytes are, for the message.

    Raises:
        InputError: If the bytes are no such features, are cut short, or belong to another method.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f'{source}: no features, or cut short ({error})') from None
    method = str(arrays.pop(_METHOD, 'an unknown method'))
    if method != kind.__name__:
        raise InputError(f'{source}: expected {kind.__name__}, got those of {method}')
    if set(arrays) != set(kind._fields):
        raise InputError(f'{source}: expected the arrays {", ".join(kind._fields)}, '
                         f'got {", ".join(arrays)}')
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(f'{source}: holds NaN or infinity')
    return kind(**arrays)


def save(path: str | pathlib.Path, features: Features) -> None:
    """Writes a file, whole or not at all.

    Args:
        path: Where; replaced if there.
        features: As in `to_bytes`.
    """
    with replacing(pathlib.Path(path)) as temporary:
        temporary.write_bytes(to_bytes(features))


def load(path: str | pathlib.Path, *, kind: type[Features]) -> Features:
    """Reads a file of `save`.

    Args:
        path: Of the file.
        kind: As in `from_bytes`.

    Raises:
        InputError: As in `from_bytes`, and if there is no such file.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror})') from None
    return from_bytes(data, kind=kind, source=str(path))


def checked(name: str, image, min_side: int, data_range: float):
    """One image of a pair, as `core.checks.check_pair` checks and returns both.

    Args:
        name: Of the argument.
        image: `*b h w c`, floats in [0, data_range].
        min_side: Least height and width.
        data_range: The value of white.

    Returns:
        An array of at least 32 bits in [0, 1].
    """
    if not data_range > 0:
        raise InputError(f'data_range: expected a number over 0, got {data_range}')
    check_image(name, image, min_side=min_side, data_range=data_range)
    image = jnp.asarray(image)
    image = image.astype(jnp.promote_types(image.dtype, jnp.float32))
    return image if data_range == 1 else image / data_range


def size_of(image) -> np.ndarray:
    """Height and width, as features keep them.

    Args:
        image: `*b h w c`.
    """
    return np.array(image.shape[-3:-1], np.int32)


def check_size(features: Features, distorted) -> None:
    """Raises `InputError` where the reference had another size (unless the size is traced).

    Args:
        features: Of the reference.
        distorted: `*b h w c`.
    """
    size = features.size
    if is_concrete(size) and (np.asarray(size) != size_of(distorted)).any():
        height, width = np.asarray(size).reshape(-1, 2)[0]
        raise InputError(f'distorted: the features are of an image of {height}x{width} pixels, '
                         f'got shape {distorted.shape}')

"""Reading torch checkpoints without torch, by an unpickler that knows tensors and nothing else.

A checkpoint is a pickle, and a pickle can call anything. Here it may name only what a state dict
needs (`_Unpickler.admitted`); see `restricted_pickle.py`.
Tensors are views of raw storages that lie beside the pickle, in the zip layout (torch 1.6 and
later) as members of the archive, in the legacy layout behind it in the same file.
"""

import collections
import io
import math
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.weights.restricted_pickle import RestrictedUnpickler

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py: MAGIC_NUMBER
LEGACY_PROTOCOL = 1001
STORAGES = {
    'BFloat16Storage': ml_dtypes.bfloat16, 'BoolStorage': np.bool_, 'ByteStorage': np.uint8,
    'CharStorage': np.int8, 'DoubleStorage': np.float64, 'FloatStorage': np.float32,
    'HalfStorage': np.float16, 'IntStorage': np.int32, 'LongStorage': np.int64,
    'ShortStorage': np.int16,
}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _View(NamedTuple):
    """A tensor whose storage may not have been read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(RestrictedUnpickler):
    """Admits ordered dicts, tensors and parameters."""

    holds = 'a checkpoint may hold tensors only; save the state_dict alone'

    def admitted(self) -> Mapping[tuple[str, str], Any]:
        return {
            **{('torch', name): name for name in STORAGES},
            ('collections', 'OrderedDict'): collections.OrderedDict,
            ('torch._utils', '_rebuild_tensor_v2'): self._tensor,
            ('torch._utils', '_rebuild_parameter'): self._parameter,
        }

    def persistent_load(self, reference: Any) -> _Storage:
        kind, storage, key, _, size, *view = reference
        if kind != 'storage' or view not in ([], [None]):
            raise ValueError(f'unknown reference {reference!r}')
        return _Storage(str(key), np.dtype(STORAGES[storage]), int(size))

    def _tensor(self, storage, offset, shape, strides, *_) -> _View:
        """`torch._utils._rebuild_tensor_v2`; checks that the view stays inside its storage."""
        shape, strides = tuple(map(int, shape)), tuple(map(int, strides))
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        inside = min((0, offset, *shape, *strides)) >= 0 and math.prod(shape) <= storage.size
        if not inside or (math.prod(shape) and last >= storage.size):
            raise ValueError(f'a tensor {shape} leaves its storage')
        return _View(storage, int(offset), shape, strides)

    def _parameter(self, data, *_) -> _View:
        return data


def load_torch(path: str | pathlib.Path, *, key: str = '') -> dict[str, np.ndarray]:
    """The tensors of a torch checkpoint.

    Args:
        path: A file of `torch.save`, in the zip or the legacy layout.
        key: Where the file holds more than a state dict, the entry to take (`'state_dict'`).

    Returns:
        Name to array, in torch's own layouts.

    Raises:
        InputError: If the file is missing, truncated, no such checkpoint, asks for anything but
            tensors, or holds no flat state dict (at `key`).
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    try:
        with path.open('rb') as file:
            zipped = zipfile.is_zipfile(file)
            file.seek(0)
            content, storages = _read_zip(file) if zipped else _read_legacy(file)
        state = _state_dict(content, key)
        return {name: _array(view, storages) for name, view in state.items()}
    except InputError as error:
        raise InputError(f'{path}: {error}') from None
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f'{path}: truncated, or no torch checkpoint ({error!r})') from error


def _read_zip(file: io.BufferedReader) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        [pickled] = [name for name in names if name.count('/') == 1 and name.endswith('/data.pkl')]
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise InputError('refused: torch never compresses the members of a checkpoint')
        folder = pickled.removesuffix('data.pkl')
        if f'{folder}byteorder' in names and archive.read(f'{folder}byteorder') != b'little':
            raise InputError('saved on a big-endian machine; save it again on a little-endian one')
        content = _Unpickler(io.BytesIO(archive.read(pickled))).load()
        data = {name.removeprefix(f'{folder}data/'): archive.read(name)
                for name in names if name.startswith(f'{folder}data/')}
    return content, data


def _read_legacy(file: io.BufferedReader) -> tuple[Any, dict[str, bytes]]:
    magic, protocol, system = (_Unpickler(file).load() for _ in range(3))
    if (magic, protocol) != (LEGACY_MAGIC, LEGACY_PROTOCOL) or not system['little_endian']:
        raise InputError('no torch checkpoint of a little-endian machine')
    unpickler = _Unpickler(file)
    content = unpickler.load()
    keys = _Unpickler(file).load()
    sizes = {view.storage.key: view.storage.dtype.itemsize for view in _views(content)}
    rest, start, data = file.read(), 0, {}
    for key in keys:
        end = start + 8 + int.from_bytes(rest[start:start + 8], 'little') * sizes[key]
        if end > len(rest):
            raise EOFError(f'storage {key} ends at {end} of {len(rest)} bytes')
        data[key] = rest[start + 8:end]
        start = end
    return content, data


def _views(content: Any) -> list[_View]:
    """Every tensor in nested mappings and sequences."""
    if isinstance(content, _View):
        return [content]
    if isinstance(content, dict):
        content = content.values()
    elif not isinstance(content, list | tuple):
        return []
    return [view for item in content for view in _views(item)]


def _state_dict(content: Any, key: str) -> dict[str, _View]:
    if key:
        if not isinstance(content, dict) or key not in content:
            raise InputError(f"has no entry '{key}'")
        content = content[key]
    if not isinstance(content, dict):
        raise InputError(f'holds a {type(content).__name__}, expected a state dict')
    others = [str(name) for name, value in content.items() if not isinstance(value, _View)]
    if others:
        raise InputError(f'expected tensors only, found other entries: {", ".join(others)}; '
                         "choose the state dict among them with key='...'")
    return {str(name): view for name, view in content.items()}


def _array(view: _View, storages: dict[str, bytes]) -> np.ndarray:
    data = storages[view.storage.key]
    dtype, size = view.storage.dtype, view.storage.size
    if len(data) != size * dtype.itemsize:
        raise InputError(f'truncated: a storage holds {len(data)} bytes, '
                         f'expected {size * dtype.itemsize}')
    flat = np.frombuffer(data, dtype)[view.offset:]
    strides = tuple(step * dtype.itemsize for step in view.strides)
    return np.lib.stride_tricks.as_strided(flat, view.shape, strides).copy()

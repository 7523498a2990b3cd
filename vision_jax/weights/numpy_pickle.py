"""Reading pickled dicts of NumPy arrays, by an unpickler that knows arrays and nothing else.

Neither `numpy.ndarray` nor `numpy.dtype` is ever handed to the pickle: stand-ins collect what it
says of an array, which is checked before it becomes one.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.weights.restricted_pickle import RestrictedUnpickler

DTYPES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
BYTE_ORDERS = ('<', '|')
MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')  # before and since NumPy 2


class _Type:
    """Stands for a `numpy.dtype`; `state` is what its `__setstate__` would get."""

    def __init__(self, name: str):
        self.name, self.state = name, (3, '|')

    def __setstate__(self, state):
        self.state = state


class _Array:
    """Stands for a `numpy.ndarray`: version, shape, dtype, column-major order, bytes."""

    state = None

    def __setstate__(self, state):
        self.state = state


class _Unpickler(RestrictedUnpickler):
    holds = 'a weights file may hold NumPy arrays only'

    def admitted(self) -> Mapping[tuple[str, str], Any]:
        arrays = {(module, '_reconstruct'): self._array for module in MODULES}
        return {**arrays, ('numpy', 'ndarray'): 'ndarray', ('numpy', 'dtype'): self._dtype}

    def _array(self, kind, shape, letter) -> _Array:
        """`numpy.core.multiarray._reconstruct`: an empty array, to be given its state."""
        return _Array()

    def _dtype(self, name, align, copy) -> _Type:
        return _Type(name)


def load_numpy_pickle(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a pickled dict, which may hold further dicts, of NumPy arrays.

    Args:
        path: A file of `pickle.dump`, of protocol 3 or 4.

    Returns:
        Name to array, nested names joined by '/'.

    Raises:
        InputError: If the file is missing, truncated, no such pickle, or asks for anything but
            dicts of arrays of numbers.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    try:
        with path.open('rb') as file:
            content = _Unpickler(file).load()
        return dict(_arrays(content, ''))
    except InputError as error:
        raise InputError(f'{path}: {error}') from None
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f'{path}: truncated, or no pickle of NumPy arrays ({error!r})') from error


def _arrays(content: Any, name: str) -> list[tuple[str, np.ndarray]]:
    if isinstance(content, _Array):
        return [(name, _as_numpy(content))]
    if type(content) is not dict:
        raise InputError(f'holds a {type(content).__name__} at {name or "its root"}, '
                         'expected dicts of arrays')
    return [pair for key, value in content.items()
            for pair in _arrays(value, f'{name}/{key}' if name else str(key))]


def _as_numpy(array: _Array) -> np.ndarray:
    _, shape, kind, column_major, data = array.state
    order = kind.state[1]
    if kind.name not in DTYPES or order not in BYTE_ORDERS:
        raise InputError(f'an array of the dtype {order}{kind.name}, '
                         f'expected little-endian numbers: {", ".join(DTYPES)}')
    dtype = np.dtype(kind.name)
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise InputError(f'truncated: an array {shape} has {len(data)} bytes')
    return np.frombuffer(data, dtype).reshape(shape, order='F' if column_major else 'C').copy()

"""Reading files of named arrays: safetensors, npz and Orbax.

Torch's files are read in `torch_file.py`, pickled NumPy arrays in `numpy_pickle.py`.
"""

import pathlib

import jax
import numpy as np
import orbax.checkpoint as ocp
import safetensors
import safetensors.numpy

from vision_jax.core import paths
from vision_jax.core.errors import InputError
from vision_jax.weights.numpy_pickle import load_numpy_pickle
from vision_jax.weights.torch_file import load_torch

NUMPY_PICKLES = (b'\x80\x03', b'\x80\x04')  # pickle's protocols 3 and 4; torch writes 2


def load_safetensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file.

    Args:
        path: Of the file.

    Raises:
        InputError: If the file is missing or damaged.
    """
    path = _existing(path)
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError) as error:
        raise InputError(f'{path}: truncated, or no safetensors file ({error})') from error


def load_npz(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file; arrays of Python objects, which are pickles, are refused.

    Args:
        path: Of the file.

    Raises:
        InputError: If the file is missing, damaged, or holds Python objects.
    """
    path = _existing(path)
    try:
        with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zlib, zipfile, struct and NumPy each raise their own
        raise InputError(
            f'{path}: truncated, no npz file, or it holds Python objects ({error})'
        ) from error


def load_orbax(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an Orbax checkpoint of one tree, named by their paths joined by '/'.

    Args:
        path: The folder that `StandardCheckpointer.save` wrote.

    Raises:
        InputError: If there is no such folder, or it holds no such checkpoint.
    """
    path = _existing(path).resolve()
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.metadata(path).item_metadata.tree
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            tree = checkpointer.restore(path, restore_args=as_numpy)
    except Exception as error:
        raise InputError(
            f'{path}: no complete Orbax checkpoint of one tree ({type(error).__name__})'
        ) from error
    names, leaves, _ = paths.flatten(tree)
    return dict(zip(names, leaves, strict=True))


def read(path: str | pathlib.Path, *, key: str = '') -> dict[str, np.ndarray]:
    """The tensors of a file, by the reader for its kind.

    Args:
        path: `*.safetensors`, `*.npz`, a folder (Orbax), or else a torch checkpoint or, by its
            first bytes, a pickled dict of NumPy arrays.
        key: See `load_torch`.

    Raises:
        InputError: As the readers do.
    """
    path = _existing(path)
    if path.is_dir():
        return load_orbax(path)
    by_suffix = {'.safetensors': load_safetensors, '.npz': load_npz}
    if path.suffix in by_suffix:
        return by_suffix[path.suffix](path)
    with path.open('rb') as file:
        if file.read(2) in NUMPY_PICKLES:
            return load_numpy_pickle(path)
    return load_torch(path, key=key)


def _existing(path: str | pathlib.Path) -> pathlib.Path:
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f'{path}: no such file')
    return path

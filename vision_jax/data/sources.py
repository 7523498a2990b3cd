"""Random-access sources of examples: arrays, a folder with a table, TFDS, and parts of them.

A source is a sequence: `len(source)`, `source[i]` is a dict with `image` (uint8 `[h, w, 3]`) and
scalars such as `quality`, `reference`, `distortion`, `level`, and `source.column(name)` is one
scalar of all examples, read without decoding an image.
"""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from vision_jax.core.errors import InputError, nearest
from vision_jax.data.transforms import CorruptImageError, decode


class Source(Protocol):
    """What every data set is to the pipeline."""

    columns: tuple[str, ...]

    def __len__(self) -> int:
        """How many examples there are."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Example `index` with its image decoded; raises `CorruptImageError`, naming the path."""

    def column(self, name: str) -> np.ndarray:
        """A scalar of all examples, `[n]`; `name` is one of `columns`."""


def check_column(source: Source, name: str) -> None:
    """Raises `InputError` unless the source has the scalar `name`."""
    if name not in source.columns:
        raise InputError(f"the data set has no column '{name}'{nearest(name, source.columns)}")


class ArraySource:
    """Examples held in memory.

    Args:
        fields: Arrays (or a list, for images of several sizes) with a leading example axis;
            `image` holds uint8 `[h, w, 3]`, all others are scalars `[n]`.
    """

    def __init__(self, fields: dict[str, Any]):
        lengths = {name: len(values) for name, values in fields.items()}
        if len(set(lengths.values())) != 1:
            raise InputError(f'fields: expected one length, got {lengths}')
        self._images = fields['image']
        self._scalars = {k: np.asarray(v) for k, v in fields.items() if k != 'image'}
        self.columns = tuple(self._scalars)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'image': self._images[index], **{k: v[index] for k, v in self._scalars.items()}}

    def column(self, name: str) -> np.ndarray:
        check_column(self, name)
        return self._scalars[name]


class FolderSource:
    """Image files listed by a CSV table.

    Args:
        folder: Where the images are.
        table: A CSV file with a header: `path` (relative to `folder`), and one column a scalar.
            Columns of integers become int32, of numbers float32, all others text.

    Raises:
        InputError: On a missing table or `path` column, an unreadable row, or no images at all.
    """

    def __init__(self, folder: str | pathlib.Path, table: str | pathlib.Path):
        self._folder, table = pathlib.Path(folder), pathlib.Path(table)
        if not table.is_file():
            raise InputError(f'no table {table}; it lists the images: path,quality')
        with table.open(newline='', encoding='utf-8-sig') as lines:
            rows = list(csv.DictReader(lines))
        if rows and 'path' not in rows[0]:
            raise InputError(f'{table}: no column path, got {", ".join(rows[0])}')
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise InputError(f'{table} line {number}: expected as many fields as the header')
        if not any((self._folder / row['path']).is_file() for row in rows):
            raise InputError(f'no images found in {self._folder} ({len(rows)} rows in {table})')
        self._values = {k: _parse([row[k] for row in rows]) for k in rows[0]}
        self.columns = tuple(self._values)

    def __len__(self) -> int:
        return len(self._values['path'])

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self._folder / str(self._values['path'][index])
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise CorruptImageError(f'unreadable image {path}: {error.strerror}') from error
        scalars = {name: values[index] for name, values in self._values.items()}
        return {**scalars, 'image': decode(encoded, path=str(path))}

    def column(self, name: str) -> np.ndarray:
        check_column(self, name)
        return self._values[name]


def _parse(texts: list[str]) -> np.ndarray:
    for kind in (np.int32, np.float32):
        try:
            return np.array(texts, dtype=object).astype(kind)
        except (ValueError, OverflowError):
            continue
    return np.array(texts)


class Subset:
    """The examples `indices` of a source, in that order."""

    def __init__(self, source: Source, indices: np.ndarray):
        self._source, self._indices = source, np.asarray(indices, np.int64)
        self.columns = source.columns

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._source[int(self._indices[index])]

    def column(self, name: str) -> np.ndarray:
        return self._source.column(name)[self._indices]


def where(source: Source, **values: Sequence) -> Subset:
    """The examples whose columns hold one of the given values: `where(s, distortion=(1, 8))`."""
    keep = np.ones(len(source), bool)
    for name, allowed in values.items():
        keep &= np.isin(source.column(name), np.asarray(list(allowed)))
    return Subset(source, np.flatnonzero(keep))


class Relabelled:
    """A source with one column replaced by other values `[n]`."""

    def __init__(self, source: Source, name: str, values: np.ndarray):
        self._source, self._name, self._values = source, name, np.asarray(values)
        self.columns = tuple(dict.fromkeys((*source.columns, name)))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self._source[index], self._name: self._values[index]}

    def column(self, name: str) -> np.ndarray:
        return self._values if name == self._name else self._source.column(name)


class ConcatSource:
    """Sources one after the other, with the columns that all have.

    The numbers in `GROUPS` are shifted so that no photograph or distortion of one source has the
    number of another's.
    """

    GROUPS = ('reference', 'distortion')

    def __init__(self, sources: Sequence[Source]):
        self._sources = list(sources)
        self._ends = np.cumsum([len(source) for source in self._sources])
        shared = set.intersection(*(set(source.columns) for source in self._sources))
        self.columns = tuple(name for name in self._sources[0].columns if name in shared)
        self._values = {name: self._join(name) for name in self.columns}

    def _join(self, name: str) -> np.ndarray:
        parts, offset = [], 0
        for source in self._sources:
            values = source.column(name)
            if name in self.GROUPS:
                values = values + np.int32(offset)
                offset = values.max(initial=-1) + 1
            parts.append(values)
        return np.concatenate(parts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        which = int(np.searchsorted(self._ends, index, side='right'))
        local = index - (int(self._ends[which - 1]) if which else 0)
        scalars = {name: values[index] for name, values in self._values.items()}
        return {'image': self._sources[which][local]['image'], **scalars}

    def column(self, name: str) -> np.ndarray:
        check_column(self, name)
        return self._values[name]

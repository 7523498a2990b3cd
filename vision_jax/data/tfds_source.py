"""A TFDS data set as a source, read without TensorFlow."""

import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vision_jax.data.sources import check_column
from vision_jax.data.transforms import decode

CACHE = 'columns.npz'


class TfdsSource:
    """A prepared TFDS data set, or one split of it, its images decoded here.

    The images stay encoded in TFDS (`SkipDecoding`), so that a corrupt one is reported by its path.
    The scalars of all examples are read once and kept beside the records in `columns.npz`.

    Args:
        builder: A prepared builder whose files are `array_record`, with an `image` feature and
            scalars.
        split: The TFDS split; its parts are one after the other in `'all'`.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str = 'all'):
        self._name = builder.info.full_name
        features = builder.info.features
        self.columns = tuple(name for name in features if name != 'image')
        self._records = builder.as_data_source(
            split=split, decoders={'image': tfds.decode.SkipDecoding()})
        self._cache = pathlib.Path(builder.data_dir) / f'{split}_{CACHE}'
        self._values: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self._records[index]
        scalars = {name: _text(record[name]) for name in self.columns}
        where = scalars.get('path', f'number {index}')
        return {'image': decode(record['image'], path=f'{where} of {self._name}'), **scalars}

    def column(self, name: str) -> np.ndarray:
        check_column(self, name)
        if not self._values:
            self._values = self._read_cache() or self._read_all()
        return self._values[name]

    def _read_cache(self) -> dict[str, np.ndarray]:
        if not self._cache.exists():
            return {}
        with np.load(self._cache, allow_pickle=False) as cached:
            return {name: cached[name] for name in self.columns}

    def _read_all(self) -> dict[str, np.ndarray]:
        lists: dict[str, list] = {name: [] for name in self.columns}
        for index in range(len(self)):
            record = self._records[index]  # its image is dropped at once
            for name, values in lists.items():
                values.append(_text(record[name]))
        columns = {name: np.array(values) for name, values in lists.items()}
        try:
            self._write_cache(columns)
        except OSError:  # a shared data folder may be read-only
            pass
        return columns

    def _write_cache(self, values: dict[str, np.ndarray]) -> None:
        """Writes to a name of its own first: another process may do the same now."""
        with tempfile.NamedTemporaryFile(
            dir=self._cache.parent, suffix='.npz', delete=False
        ) as file:
            np.savez(file, **values)
        os.replace(file.name, self._cache)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value

"""What the builders of quality data sets share: manual download, checks, features, loading."""

import abc
import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vision_jax.core.errors import InputError
from vision_jax.data.datasets.archive import Archive
from vision_jax.data.quality import LABELS, quality_source
from vision_jax.data.sources import Source
from vision_jax.data.tfds_source import TfdsSource

DEFAULT_DIRECTORY = '~/.cache/vision_jax/data'


class QualityBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of a data set of images with quality labels; no TensorFlow is needed to build it.

    A subclass states the constants below and yields its rows. Images are stored as published
    (encoded), in the order of the table.

    Attributes:
        FILES: What to download, and how it must lie in the folder for manual downloads.
        HOMEPAGE: Where it is published.
        CITATION: Its paper.
        SCALARS: Features beside `image`, `path` and `quality`, with their dtypes.
    """

    VERSION = tfds.core.Version('1.0.0')
    FILES = ''
    HOMEPAGE = ''
    CITATION = ''
    SCALARS: dict[str, Any] = {}

    @abc.abstractmethod
    def rows(self, archive: Archive) -> Iterator[dict[str, Any]]:
        """Yields `path` (in the archive), `quality` and the scalars of each image."""

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            'image': tfds.features.Image(shape=(None, None, 3)),
            'path': tfds.features.Text(),
            'quality': np.float32,
            **self.SCALARS,
        }
        return tfds.core.DatasetInfo(
            builder=self, description=type(self).__doc__, homepage=self.HOMEPAGE,
            citation=self.CITATION, features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {'train': self._generate_examples(dl_manager.manual_dir)}

    def _generate_examples(self, folder):
        archive = Archive(pathlib.Path(folder), missing=self.missing())
        with contextlib.closing(archive):
            for number, row in enumerate(self._checked_rows(archive)):
                yield number, {**row, 'image': archive.read(row['path'])}

    def _checked_rows(self, archive: Archive) -> Iterator[dict[str, Any]]:
        number, rows = 0, self.rows(archive)
        while True:
            number += 1
            try:
                row = next(rows)
                row['quality'] = _number(row['quality'])
            except StopIteration:
                return
            except InputError:
                raise
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise InputError(f'{self.name}: the table is not in the published form at row '
                                 f'{number}: {error!r}') from error
            if not np.isfinite(row['quality']):
                raise InputError(f'{self.name}: row {number} ({row["path"]}): the label is '
                                 f'{row["quality"]}; correct the table')
            yield row

    def missing(self) -> str:
        """What to do about a missing file."""
        return f'get {self.FILES} from {self.HOMEPAGE}'


def _number(cell) -> float:
    return float('nan') if cell in ('', None) else float(cell)


def load(builder_class: type[QualityBuilder], config, split: str) -> Source:
    """Builds a data set on first use, and takes the part that a config asks for.

    Args:
        builder_class: The data set.
        config: `directory` (where data sets are kept; default `~/.cache/vision_jax/data`),
            `archive_directory` (where the published archive lies; default
            `DIRECTORY/downloads/manual/NAME`), and the options of `quality_source`.
        split: `'train'`, `'test'` or `'all'`.

    Raises:
        InputError: On a missing archive or file, saying where it goes and where it is published.
    """
    directory = pathlib.Path(config.get('directory', '') or DEFAULT_DIRECTORY).expanduser()
    builder = _open(builder_class, directory)
    if not pathlib.Path(builder.data_dir).exists():
        folder = config.get('archive_directory', '')
        folder = pathlib.Path(folder or directory / 'downloads' / 'manual' / builder.name)
        _build(builder, folder.expanduser())
        builder = _open(builder_class, directory)
    return quality_source(TfdsSource(builder), config, split, labels=LABELS[builder.name])


def _open(builder_class: type[QualityBuilder], directory: pathlib.Path) -> QualityBuilder:
    return builder_class(data_dir=str(directory), file_format='array_record')


def _build(builder: QualityBuilder, folder: pathlib.Path) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(f'{builder.name} is downloaded by hand: {builder.missing()} '
                         f'and put it into {folder}')
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(folder)))
    except OSError:
        # Another process of this run may have built it meanwhile; then its result is taken.
        if not pathlib.Path(builder.data_dir).exists():
            raise

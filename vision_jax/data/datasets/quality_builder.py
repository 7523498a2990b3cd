"""What the builders of quality data sets share: manual download, checks, features, loading."""

import abc
import contextlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vision_jax.core.errors import InputError
from vision_jax.core.writers import Progress
from vision_jax.data.datasets.archive import Archive
from vision_jax.data.quality import LABELS, quality_source
from vision_jax.data.sources import Source
from vision_jax.data.tfds_build import QuietBuilder, open_prepared
from vision_jax.data.tfds_source import TfdsSource

DEFAULT_DIRECTORY = '~/.cache/vision_jax/data'
# TFDS collects the records of a split in memory up to 1000 MiB (its core/shuffle.py); above, it
# needs TensorFlow. Half of that leaves room for what a record holds beside the image.
PART_BYTES = 500 << 20


class QualityBuilder(QuietBuilder, skip_registration=True):
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
        """Yields `path` (in the archive), `quality` and the scalars of each image.

        A set that publishes the undistorted photographs also yields `reference_path`: where that
        of the image is, in the archive. It is not stored here; see `references.py`.
        """

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
        """Parts that TFDS holds in memory: a larger split it spills to disk, by TensorFlow."""
        folder = pathlib.Path(dl_manager.manual_dir)
        with contextlib.closing(self.archive(folder)) as archive:
            rows = list(self.checked_rows(archive))
            ends = part_ends([archive.size(row['path']) for row in rows], limit=PART_BYTES)
        progress = Progress(len(rows), unit='image', title=f'building {self.name}', lines=10)
        return {f'part_{number:05d}': self._generate_examples(folder, rows, begin, end, progress)
                for number, (begin, end) in enumerate(itertools.pairwise([0, *ends]))}

    def _generate_examples(self, folder, rows, begin: int, end: int, progress: Progress):
        with contextlib.closing(self.archive(folder)) as archive:
            for number in range(begin, end):
                row = rows[number]
                kept = {name: row[name] for name in self.info.features if name != 'image'}
                yield number, {**kept, 'image': archive.read(row['path'])}
                progress.advance(number + 1)
        if end == len(rows):
            progress.close()

    def archive(self, folder: pathlib.Path) -> Archive:
        """The published files in a folder."""
        return Archive(folder, missing=self.missing())

    def checked_rows(self, archive: Archive) -> Iterator[dict[str, Any]]:
        """The rows with their label as a number; what is wrong with the table is named."""
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


def part_ends(sizes: Sequence[int], *, limit: int) -> list[int]:
    """Cuts a sequence of files into parts of at most `limit` bytes (of one file, if it is larger).

    Args:
        sizes: Bytes of each file.
        limit: Bytes of a part.

    Returns:
        The number of files up to the end of each part; the last is that of all.
    """
    ends, total = [], 0
    for number, size in enumerate(sizes):
        if number and total + size > limit:
            ends.append(number)
            total = 0
        total += size
    return [*ends, len(sizes)]


def _number(cell) -> float:
    return float('nan') if cell in ('', None) else float(cell)


def from_download(builder: QualityBuilder, config, directory: pathlib.Path) -> dict[str, Any]:
    """Options of `download_and_prepare`: where the archive lies; raises if it is not there."""
    folder = config.get('archive_directory', '')
    folder = pathlib.Path(folder or directory / 'downloads' / 'manual' / builder.name).expanduser()
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(f'{builder.name} is downloaded by hand: {builder.missing()} '
                         f'and put it into {folder}')
    return {'download_config': tfds.download.DownloadConfig(manual_dir=str(folder))}


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
    builder = open_prepared(
        lambda: builder_class(data_dir=str(directory), file_format='array_record'),
        options=lambda builder: from_download(builder, config, directory))
    return quality_source(TfdsSource(builder), config, split, labels=LABELS[builder.name])

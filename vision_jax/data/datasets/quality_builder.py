"""What the builders of quality data sets share: manual download, checks, features, loading."""

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

    def rows(self, archive: Archive) -> Iterator[dict[str, Any]]:
        """Yields `path` (in the archive), `quality` and the scalars of each image."""
        raise NotImplementedError(f'{type(self).__name__} must yield its rows')

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
        for number, row in enumerate(self.rows(archive)):
            quality = _number(row['quality'])
            if not np.isfinite(quality):
                raise InputError(f'{self.name}: row {number + 1} ({row["path"]}): the label is '
                                 f'{row["quality"]}; correct the table')
            yield number, {**row, 'quality': quality, 'image': archive.read(row['path'])}

    def missing(self) -> str:
        """What to do about a missing file."""
        return f'get {self.FILES} from {self.HOMEPAGE}'


def _number(text) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float('nan')


def load(builder_class: type[QualityBuilder], config, split: str) -> Source:
    """Builds a data set on first use, and takes the part that a config asks for.

    Args:
        builder_class: The data set.
        config: `data_dir` (default: TFDS's own), `manual_dir` (default:
            `DATA_DIR/downloads/manual/NAME`, where the published archive lies), and the options of
            `quality_source`.
        split: `'train'`, `'test'` or `'all'`.

    Raises:
        InputError: On a missing archive or file, saying where it goes and where it is published.
    """
    builder = builder_class(data_dir=config.get('data_dir', '') or None,
                            file_format='array_record')
    if not pathlib.Path(builder.data_dir).exists():
        _build(builder, config.get('manual_dir', ''))
    return quality_source(TfdsSource(builder), config, split, labels=LABELS[builder.name])


def _build(builder: QualityBuilder, manual_dir: str) -> None:
    root = pathlib.Path(builder.data_dir).parents[1]
    folder = pathlib.Path(manual_dir or root / 'downloads' / 'manual' / builder.name).expanduser()
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(f'{builder.name} is downloaded by hand: {builder.missing()} '
                         f'and put it into {folder}')
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(folder)))

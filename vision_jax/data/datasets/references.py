"""The undistorted photographs of the published sets that have them: for full-reference metrics.

They are built beside the distorted images, on the first use that needs them, from the same archive:
who trains without references needs neither their files nor their space.
"""

import contextlib
import dataclasses
import importlib
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from vision_jax.core.errors import InputError, nearest
from vision_jax.core.writers import Progress
from vision_jax.data.datasets import quality_builder
from vision_jax.data.tfds_build import QuietBuilder, open_prepared
from vision_jax.data.tfds_source import TfdsSource

BUILDERS = {
    'csiq': 'vision_jax.data.datasets.csiq:Csiq',
    'kadid10k': 'vision_jax.data.datasets.kadid10k:Kadid10k',
    'live': 'vision_jax.data.datasets.live:Live',
    'pieapp': 'vision_jax.data.datasets.pieapp:Pieapp',
    'tid2013': 'vision_jax.data.datasets.tid2013:Tid2013',
}


@dataclasses.dataclass
class SetConfig(tfds.core.BuilderConfig):
    """Of which data set.

    Attributes:
        name: A key of `BUILDERS`.
    """

    name: str = ''


class References(QuietBuilder, skip_registration=True):
    """The undistorted photographs of a quality data set; `reference` numbers them as there."""

    name = 'references'
    VERSION = tfds.core.Version('1.0.0')
    MANUAL_DOWNLOAD_INSTRUCTIONS = 'as the data set itself'

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            'image': tfds.features.Image(shape=(None, None, 3)),
            'path': tfds.features.Text(),
            'reference': np.int32,
        }
        return tfds.core.DatasetInfo(
            builder=self, description=type(self).__doc__, disable_shuffling=True,
            features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {'all_photographs': self._generate_examples(pathlib.Path(dl_manager.manual_dir))}

    def _generate_examples(self, folder: pathlib.Path):
        distorted = _distorted(self.builder_config.name, self._data_dir_root)
        with contextlib.closing(distorted.archive(folder)) as archive:
            paths = {row['reference']: row['reference_path']
                     for row in distorted.checked_rows(archive)}
            progress = Progress(len(paths), unit='photograph', lines=1,
                                title=f'building references of {distorted.name}')
            for number, (reference, path) in enumerate(sorted(paths.items()), start=1):
                yield number, {'path': path, 'reference': reference, 'image': archive.read(path)}
                progress.advance(number)
            progress.close()


def _distorted(name: str, directory: str) -> quality_builder.QualityBuilder:
    module, attribute = BUILDERS[name].split(':')
    builder_class = getattr(importlib.import_module(module), attribute)
    return builder_class(data_dir=directory, file_format='array_record')


def load(config) -> TfdsSource:
    """The photographs as a source with `path` and `reference`, built first where that is needed.

    Args:
        config: `name` (a key of `BUILDERS`), `directory` and `archive_directory` as in
            `quality_builder.load`.

    Raises:
        InputError: On a set without references, or a missing archive or photograph.
    """
    name = config['name']
    if name not in BUILDERS:
        raise InputError(f"the data set '{name}' has no reference photographs"
                         f'{nearest(name, BUILDERS)}')
    directory = pathlib.Path(
        config.get('directory', '') or quality_builder.DEFAULT_DIRECTORY).expanduser()
    what = SetConfig(name=name)

    return TfdsSource(open_prepared(
        lambda: References(data_dir=str(directory), file_format='array_record', config=what),
        options=lambda _: quality_builder.from_download(
            _distorted(name, str(directory)), config, directory)))

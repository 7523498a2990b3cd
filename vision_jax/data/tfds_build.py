"""Building a data set by TFDS on first use, with progress of our own and nothing else printed."""

import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow_datasets as tfds


class QuietBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder without TFDS's two lines about a download that there is not.

    Nor does it warn that a config is not among `BUILDER_CONFIGS`, in this process and in each one
    that a source is sent to.
    """

    def _log_download_bytes(self):
        pass

    def _log_download_done(self):
        pass

    def _create_builder_config(self, builder_config, version):
        if isinstance(builder_config, tfds.core.BuilderConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the files of a data set are there; TFDS moves them there when all are written."""
    return pathlib.Path(builder.data_dir).exists()


def open_prepared(make: Callable[[], tfds.core.DatasetBuilder], *,
                  options: Callable[[tfds.core.DatasetBuilder], dict[str, Any]] = lambda _: {}):
    """A builder whose files are there: written now unless they were.

    TFDS's bars are off meanwhile: they are drawn also where there is no terminal.

    Args:
        make: Opens the builder.
        options: From the builder, what `download_and_prepare` is to get; called only if the files
            are to be written.
    """
    builder = make()
    if is_prepared(builder):
        return builder
    chosen = options(builder)
    tfds.display_progress_bar(False)
    try:
        builder.download_and_prepare(**chosen)
    except OSError:
        # Another process of this run may have built it meanwhile; then its result is taken.
        if not is_prepared(builder):
            raise
    finally:
        tfds.display_progress_bar(True)
    return make()  # the first one has read that there are no files

"""Local errors as PNG files: black where the pictures are equal to the metric, light where not."""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, PngImagePlugin

from vision_jax.core.errors import InputError
from vision_jax.core.workdir import replacing

INDEX = 'maps.csv'
COLUMNS = ('map', 'reference', 'distorted', 'metric', 'black', 'white')
# Black over violet and orange to a light yellow, the luminance growing evenly.
COLOURS = ((0, 0, 0), (60, 10, 100), (140, 40, 110), (215, 80, 60), (250, 155, 30), (255, 250, 190))


class MapFolder:
    """A folder of maps and the table `maps.csv` that says what is what, written by `close`.

    Args:
        folder: Made where it is missing.
        white: The error that is shown lightest; by default the largest of each map.
    """

    def __init__(self, folder: str | pathlib.Path, *, white: float | None = None):
        self._folder, self._white = pathlib.Path(folder), white
        self._rows: list[tuple] = []
        self._names: set[str] = set()
        if white is not None and not white > 0:
            raise InputError(f'the error shown white must be over 0, got {white:g}')
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f'{folder}: {error.strerror}') from None

    def write(self, errors: np.ndarray, *, metric: str, reference: pathlib.Path,
              distorted: pathlib.Path) -> pathlib.Path:
        """Writes one map.

        Args:
            errors: `[h, w]`, 0 where nothing differs.
            metric: Label of the metric, part of the file's name.
            reference: What was compared.
            distorted: With what; its stem is part of the file's name.

        Returns:
            The file.
        """
        white = float(errors.max()) if self._white is None else self._white
        name = self._free_name(f'{distorted.stem}.{_as_name(metric)}')
        path = self._folder / name
        text = PngImagePlugin.PngInfo()
        text.add_text('Comment', f'{metric}: black is an error of 0, the lightest {white:.6g}')
        try:
            with replacing(path) as temporary:
                Image.fromarray(colours(errors, white=white)).save(temporary, 'PNG', pnginfo=text)
        except OSError as error:
            raise InputError(f'{path}: {error.strerror}') from None
        self._rows.append((name, reference, distorted, metric, 0, f'{white:.9g}'))
        return path

    def close(self) -> None:
        """Writes the table."""
        with replacing(self._folder / INDEX) as temporary, temporary.open(
                'w', newline='', encoding='utf-8', errors='surrogateescape') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(COLUMNS)
            writer.writerows(self._rows)

    def _free_name(self, stem: str) -> str:
        """A name that no other map of this run has: folders may repeat the names of files."""
        name, number = f'{stem}.png', 2
        while name in self._names:
            name, number = f'{stem}.{number}.png', number + 1
        self._names.add(name)
        return name


def colours(errors: np.ndarray, *, white: float,
            anchors: Sequence[tuple[int, int, int]] = COLOURS) -> np.ndarray:
    """Shows errors as colours.

    Args:
        errors: `[h, w]`.
        white: The error of the last colour; larger ones are shown as it.
        anchors: Colours of 0 to `white`, with straight lines between.

    Returns:
        uint8 `[h, w, 3]`.
    """
    places = np.clip(np.nan_to_num(errors, nan=np.inf) / (white or 1.0), 0, 1) * (len(anchors) - 1)
    table = np.array(anchors, np.float64)
    planes = [np.interp(places, np.arange(len(anchors)), table[:, band]) for band in range(3)]
    return np.rint(np.stack(planes, axis=-1)).astype(np.uint8)


def _as_name(label: str) -> str:
    """A metric with its options as part of a file name."""
    return ''.join(c if c.isalnum() or c in '_-=.' else '_' for c in label)

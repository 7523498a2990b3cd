"""Scores as JSON lines, CSV or a table, and the catalogue as a table or JSON lines."""

import csv
import json
import math
import re
from collections.abc import Sequence
from typing import Any, TextIO

from vision_jax import catalog
from vision_jax.data import images
from vision_jax.data.pair_files import FilePair
from vision_jax.evaluators.asked_metrics import pair_metrics
from vision_jax.evaluators.scoring import Scored

LONGEST_NAME = 48
MEAN = 'mean'


class JsonLines:
    """One object a line: reference, distorted, metric, value, and of a frame its number.

    JSON has no infinity: such a value is the text "inf", and one that is not defined null.

    Args:
        file: Where to.
        pairs: What was scored.
        labels: The metrics.
        frames: Whether there are frames.
    """

    def __init__(self, file: TextIO, pairs: Sequence[FilePair], labels: Sequence[str], *,
                 frames: bool):
        self._file, self._pairs = file, pairs

    def write(self, scored: Scored) -> None:
        """Adds what could be scored of a pair or frame."""
        pair = self._pairs[scored.index]
        for label, value in scored.values.items():
            line: dict[str, Any] = {'reference': str(pair.reference),
                                    'distorted': str(pair.distorted)}
            if scored.frame is not None:
                line['frame'] = scored.frame
            self._file.write(json.dumps({**line, 'metric': label, 'value': _json(value)}) + '\n')

    def close(self) -> None:
        """Nothing is left to write."""


class Csv:
    """One line a pair or frame, one column a metric; empty where there is no score.

    Args:
        file: As in `JsonLines`.
        pairs: As in `JsonLines`.
        labels: The columns.
        frames: Whether there is a column `frame`, empty for the pair as a whole.
    """

    def __init__(self, file: TextIO, pairs: Sequence[FilePair], labels: Sequence[str], *,
                 frames: bool):
        self._pairs, self._labels, self._frames = pairs, labels, frames
        self._writer = csv.writer(file, lineterminator='\n')
        self._writer.writerow(['reference', 'distorted', *(['frame'] if frames else []), *labels])

    def write(self, scored: Scored) -> None:
        """Adds a line, unless nothing could be scored."""
        if not scored.values:
            return
        frame = '' if scored.frame is None else scored.frame
        values = [scored.values.get(label, '') for label in self._labels]
        self._writer.writerow([*self._pairs[scored.index], *([frame] if self._frames else []),
                               *values])

    def close(self) -> None:
        """Nothing is left to write."""


class Table:
    """Columns for a person to read; below several pairs, the mean of each metric.

    Args:
        file: As in `JsonLines`.
        pairs: As in `JsonLines`.
        labels: The columns.
        frames: Whether there are lines of frames, above the pair's own.
    """

    def __init__(self, file: TextIO, pairs: Sequence[FilePair], labels: Sequence[str], *,
                 frames: bool):
        self._file, self._labels = file, labels
        self._names = [_short(images.show(pair.distorted)) for pair in pairs]
        self._width = max(len(MEAN), *(len(name) + (7 if frames else 0) for name in self._names))
        self._values: dict[str, list[float]] = {label: [] for label in labels}
        self._has_title = False

    def write(self, scored: Scored) -> None:
        """Adds a line, unless nothing could be scored."""
        if not scored.values:
            return
        if not self._has_title:
            self._line('', self._labels)
            self._has_title = True
        name = self._names[scored.index]
        self._line(name if scored.frame is None else f'{name} #{scored.frame}',
                   [_figure(scored.values.get(label)) for label in self._labels])
        if scored.frame is None:
            for label, value in scored.values.items():
                self._values[label].append(value)

    def close(self) -> None:
        """Adds the means."""
        if max((len(values) for values in self._values.values()), default=0) > 1:
            self._line(MEAN, [_figure(sum(values) / len(values)) if values else ''
                              for values in self._values.values()])

    def _line(self, name: str, cells: Sequence[str]) -> None:
        padded = [cell.rjust(max(9, len(label)))
                  for cell, label in zip(cells, self._labels, strict=True)]
        self._file.write('  '.join([name.ljust(self._width), *padded]).rstrip() + '\n')


OPEN = {'json': JsonLines, 'csv': Csv, 'table': Table}


class InOrder:
    """Writes pairs in their order as soon as all before them are done.

    Args:
        writer: One of the above.
        frames: Whether frames are written, too.
    """

    def __init__(self, writer: JsonLines | Csv | Table, *, frames: bool):
        self._writer, self._frames = writer, frames
        self._next = 0
        self._kept: dict[int, list[Scored]] = {}

    def put(self, scored: Scored) -> None:
        """Takes a pair, or a frame of one."""
        rows = self._kept.setdefault(scored.index, [])
        if scored.frame is None or self._frames:
            rows.append(scored._replace(maps={}))
        while self._next in self._kept and self._is_done(self._kept[self._next]):
            rows = self._kept.pop(self._next)
            self._next += 1
            for row in sorted(rows, key=lambda row: math.inf if row.frame is None else row.frame):
                self._writer.write(row)

    @staticmethod
    def _is_done(rows: list[Scored]) -> bool:
        return bool(rows) and rows[-1].frame is None


def write_catalogue(file: TextIO, *, json_lines: bool) -> None:
    """Writes the metrics that compare two images.

    Args:
        file: Where to.
        json_lines: Objects, one a line, instead of a table.
    """
    rows = [_describe(name) for name in pair_metrics()]
    if json_lines:
        file.writelines(json.dumps(row) + '\n' for row in rows)
        return
    cells = [(row['metric'], row['better'], f'{row["least"]} to {row["greatest"]}',
              f'{row["equal"]}', 'map' if row['map'] else '', row['extra'],
              _authors(row['reference']))
             for row in rows]
    titles = ('metric', 'better', 'range', 'equal', '', 'extra', 'paper')
    widths = [max(len(str(line[i])) for line in [titles, *cells]) for i in range(len(titles))]
    for line in [titles, *cells]:
        file.write('  '.join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + '\n')


def _authors(reference: str) -> str:
    """Who and when, of a paper."""
    authors, _, rest = reference.partition(':')
    years = re.findall(r'(?:19|20)\d\d', rest)
    return f'{authors}, {years[-1]}' if years else reference


def _describe(name: str) -> dict[str, Any]:
    row = catalog.entry(name)
    least, greatest = row.range
    better = 'lower' if row.lower_is_better else 'higher'
    return {'metric': name, 'kind': row.kind, 'better': better, 'least': _json(least),
            'greatest': _json(greatest), 'equal': _json(row.identity), 'map': row.has_map,
            'min_side': row.min_side, 'extra': row.extra, 'convention': row.convention,
            'reference': row.reference}


def _json(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value


def _figure(value: float | None) -> str:
    return '' if value is None else f'{value:.6g}'


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else '...' + name[3 - LONGEST_NAME:]

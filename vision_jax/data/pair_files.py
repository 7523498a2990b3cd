"""Which files are compared with which: two files, two folders matched by name, or a CSV table."""

import csv
import pathlib
from typing import NamedTuple

from vision_jax.core.errors import InputError
from vision_jax.data import images, video

SUFFIXES = images.SUFFIXES | video.SUFFIXES
COLUMNS = ('reference', 'distorted')


class FilePair(NamedTuple):
    """Two files that are compared.

    Attributes:
        reference: The undistorted picture or video.
        distorted: The one that is judged.
    """

    reference: pathlib.Path
    distorted: pathlib.Path


class Matching(NamedTuple):
    """The pairs of two folders, and the files that have no partner.

    Attributes:
        pairs: In the order of the distorted files' names.
        unmatched: What was left over, each with the reason in one line.
    """

    pairs: list[FilePair]
    unmatched: list[str]


def match_folders(reference: pathlib.Path, distorted: pathlib.Path) -> Matching:
    """Finds for each picture below `distorted` its reference below `reference`.

    That is the one with the same path within the folder, or else the only one that differs from it
    in nothing but the suffix; so one reference can have several distorted versions. Hidden files
    and those whose suffix is of no picture or video are passed over.

    Raises:
        InputError: If no file has a partner.
    """
    references, used = _files(reference), set()
    by_stem: dict[pathlib.PurePath, list[pathlib.PurePath]] = {}
    for name in references:
        by_stem.setdefault(name.with_suffix(''), []).append(name)
    pairs, unmatched = [], []
    for name in _files(distorted):
        candidates = [name] if name in references else by_stem.get(name.with_suffix(''), [])
        if len(candidates) == 1:
            used.add(candidates[0])
            pairs.append(FilePair(reference / candidates[0], distorted / name))
            continue
        reason = f'several references: {", ".join(map(str, candidates))}' if candidates else (
            f'no reference of that name in {images.show(reference)}')
        unmatched.append(f'{images.show(distorted / name)}: {reason}')
    unmatched += [f'{images.show(reference / name)}: nothing of that name in '
                  f'{images.show(distorted)}' for name in references if name not in used]
    if not pairs:
        raise InputError(f'{images.show(reference)} and {images.show(distorted)} have no pictures '
                         'of the same name')
    return Matching(pairs, unmatched)


def _files(folder: pathlib.Path) -> list[pathlib.PurePath]:
    """The pictures and videos below a folder, by name, relative to it."""
    found = [path.relative_to(folder) for path in sorted(folder.rglob('*'))
             if path.suffix.lower() in SUFFIXES and path.is_file()]
    return [path for path in found if not any(part.startswith('.') for part in path.parts)]


def read_table(table: pathlib.Path) -> list[FilePair]:
    """The pairs of a CSV file with the columns `reference` and `distorted`.

    Paths are relative to the table's folder; other columns are passed over.

    Raises:
        InputError: On a file that is no such table, or has no rows.
    """
    try:
        with table.open(newline='', encoding='utf-8-sig') as lines:
            rows = csv.DictReader(lines)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(f'{table}: no column {missing[0]}; the header must name '
                                 f'{" and ".join(COLUMNS)}')
            pairs = [_row(table, rows.line_num, row) for row in rows]
    except OSError as error:
        raise InputError(f'{table}: {error.strerror}') from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{table}: no CSV file ({error})') from None
    if not pairs:
        raise InputError(f'{table}: no rows below the header')
    return pairs


def _row(table: pathlib.Path, line: int, row: dict) -> FilePair:
    names = [row[name] for name in COLUMNS]
    if not all(names):
        raise InputError(f'{table} line {line}: expected a reference and a distorted file')
    return FilePair(*(table.parent / name for name in names))

"""The tables of docs/data.md say what the code says."""

import importlib
import re

import pytest

from vision_jax import data
from vision_jax.data import distortions
from vision_jax.data.datasets.quality_builder import QualityBuilder
from vision_jax.data.photographs import PHOTOGRAPHS
from vision_jax.data.quality import LABELS

PUBLISHED = [name for name in data.DATA_SETS if name not in ('folder', 'photo_distortions')]


@pytest.fixture(scope='module')
def page(repository):
    return (repository / 'docs' / 'data.md').read_text()


def table(page: str, *titles: str) -> list[list[str]]:
    """The cells of the table with these first titles, without their code marks."""
    blocks = re.findall(r'(?:^\|.*\|\n)+', page, re.MULTILINE)
    rows = [[[cell.strip().strip('`') for cell in line.strip('|').split('|')]
             for line in block.splitlines()] for block in blocks]
    found = [block[2:] for block in rows if block[0][:len(titles)] == list(titles)]
    assert len(found) == 1
    return found[0]


def builder(name: str) -> type[QualityBuilder]:
    module = importlib.import_module(data.DATA_SETS[name].split(':')[0])
    classes = [value for value in vars(module).values() if isinstance(value, type)
               and issubclass(value, QualityBuilder) and value is not QualityBuilder]
    assert len(classes) == 1
    return classes[0]


def test_published_sets_have_their_files_and_addresses(page):
    rows = {name: cells for name, *cells in table(page, 'name', 'files')}
    assert sorted(rows) == PUBLISHED
    for name, cells in rows.items():
        assert cells == [builder(name).FILES.rstrip(','), builder(name).HOMEPAGE]


def test_published_sets_have_their_labels(page):
    rows = table(page, 'name', 'label')
    assert {(name, label, scale, best) for name, label, _, scale, best in rows} == {
        (name, label, f'{row.low:g} to {row.high:g}', 'highest' if row.higher_is_better else
         'lowest') for name, labels in LABELS.items() for label, row in labels.items()}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_sets_have_their_number_of_images(page, name):
    """As the builder's first line counts them: in all, or by photographs, types and levels."""
    (count,) = {cells[2] for cells in table(page, 'name', 'label') if cells[0] == name}
    summary = importlib.import_module(builder(name).__module__).__doc__.splitlines()[0]
    factors = re.search(r'(\d+) photographs, (\d+) distortions at (\d) levels,', summary)
    if factors:
        photographs, types, levels = map(int, factors.groups())
        assert int(count.replace(' ', '')) == photographs * types * levels
    else:
        assert f' {count} ' in summary


def test_types_are_those_of_the_table(page):
    rows = table(page, 'number', 'name')
    assert len(rows) == len(distortions.DISTORTIONS)
    for cells, row in zip(rows, distortions.DISTORTIONS, strict=True):
        marks = [f'level {level} changes nothing' for level in row.identity]
        marks += [] if row.ranked else ['not ranked']
        assert cells == [str(row.number), row.name, row.parameter,
                         ', '.join(f'{value:g}' for value in row.levels), '; '.join(marks)]


def test_types_out_of_order_in_the_generator_are_ordered_here(page):
    """What the page says of types 18 and 25; their identities are tested with the functions."""
    shift, contrast = (distortions.find(number=n).levels for n in (18, 25))
    assert list(shift) == sorted(shift, key=abs)
    assert list(contrast) == sorted(contrast, key=lambda amount: round(abs(amount + 0.2), 6))
    assert 'distance from -0.2' in page


def test_what_vsi_does_not_rank_is_said_with_its_shares(page):
    measured = ' '.join(distortions.Distortion.__doc__.split())
    found = re.findall(r'(\d+) % (?:of them )?for (?:type )?(\d+)', measured)
    percents, numbers = ([f'{share} %' for share, _ in found], [number for _, number in found])
    assert numbers == [str(row.number) for row in distortions.DISTORTIONS if not row.ranked]
    text = ' '.join(page.split())
    assert f'types {", ".join(numbers[:-1])} and {numbers[-1]}: it falls' in text
    assert f'on {", ".join(percents[:-1])} and {percents[-1]} of the 88 tiles' in text


def test_photographs_are_those_of_the_table(page):
    assert table(page, 'name', 'package') == [
        [row.name, row.package, f'{row.size[0]}x{row.size[1]}', row.origin, row.licence]
        for row in PHOTOGRAPHS]

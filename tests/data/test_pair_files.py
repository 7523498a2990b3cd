"""Which files are compared with which."""

import pytest

from vision_jax.core.errors import InputError
from vision_jax.data.pair_files import match_folders, read_table


@pytest.fixture
def folders(tmp_path):
    """Makes two folders of empty files."""
    def make(references: list[str], distorted: list[str]):
        for folder, names in (('r', references), ('d', distorted)):
            for name in names:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b'')
        return tmp_path / 'r', tmp_path / 'd'
    return make


def names(matching, root):
    return [tuple(str(path.relative_to(root)) for path in pair) for pair in matching.pairs]


def test_names_match_with_and_without_their_suffix(folders, tmp_path):
    reference, distorted = folders(
        ['a.png', 'b.PNG', 'sub/c.bmp', 'left.png', 'two.png', 'two.tif', '.a.png', 'notes.txt'],
        ['a.png', 'a.jpg', 'b.jpg', 'sub/c.bmp', 'c.bmp', 'two.jpg', 'two.tif', 'notes.txt'])
    matching = match_folders(reference, distorted)
    assert names(matching, tmp_path) == [
        ('r/a.png', 'd/a.jpg'), ('r/a.png', 'd/a.png'), ('r/b.PNG', 'd/b.jpg'),
        ('r/sub/c.bmp', 'd/sub/c.bmp'), ('r/two.tif', 'd/two.tif')]
    assert [line.replace(f'{tmp_path}/', '') for line in matching.unmatched] == [
        'd/c.bmp: no reference of that name in r',
        'd/two.jpg: several references: two.png, two.tif',
        'r/left.png: nothing of that name in d',
        'r/two.png: nothing of that name in d']


def test_folders_without_a_match_are_an_error(folders):
    with pytest.raises(InputError, match='have no pictures of the same name'):
        match_folders(*folders(['a.png'], ['b.png']))


def test_a_table_is_relative_to_its_folder(tmp_path):
    table = tmp_path / 'pairs.csv'
    table.write_text('\ufeffmos,reference,distorted\n3,a.png,"x, y.png"\n4,/b.png,sub/z.png\n')
    assert [tuple(map(str, pair)) for pair in read_table(table)] == [
        (f'{tmp_path}/a.png', f'{tmp_path}/x, y.png'), ('/b.png', f'{tmp_path}/sub/z.png')]


@pytest.mark.parametrize(('text', 'message'), [
    (b'', 'no column reference'),
    (b'reference,distored\na,b\n', 'no column distorted'),
    (b'reference,distorted\n', 'no rows'),
    (b'reference,distorted\na,b\na\n', 'line 3: expected a reference and a distorted'),
    (b'reference,distorted\na,\n', 'line 2: expected a reference and a distorted'),
    (b'\x89PNG\r\n\x1a\n\0\0', 'no CSV file|no column'),
])
def test_a_table_that_is_none(text, message, tmp_path):
    (tmp_path / 'pairs.csv').write_bytes(text)
    with pytest.raises(InputError, match=message) as raised:
        read_table(tmp_path / 'pairs.csv')
    assert '\n' not in str(raised.value)
    assert str(tmp_path / 'pairs.csv') in str(raised.value)

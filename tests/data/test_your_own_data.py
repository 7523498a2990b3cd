"""The page docs/your_own_data.md, run as it is printed."""

import re

import numpy as np
from PIL import Image


def blocks(page, language):
    """The fenced blocks of a Markdown page in one language."""
    return re.findall(rf'^```{language}\n(.*?)^```$', page, re.DOTALL | re.MULTILINE)


def test_the_page_runs_as_printed(repository, tmp_path, monkeypatch, capsys):
    page = (repository / 'docs' / 'your_own_data.md').read_text()
    table, (program,) = blocks(page, '')[0], blocks(page, 'python')
    assert len(program.strip().splitlines()) <= 20
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'labels.csv').write_text(table)
    names = [line.split(',')[0] for line in table.splitlines()[1:]]
    for name in names:
        Image.fromarray(np.zeros((100, 80, 3), np.uint8)).save(tmp_path / 'photos' / name)
    monkeypatch.chdir(tmp_path)
    variables = {}
    exec(compile(program, 'docs/your_own_data.md', 'exec'), variables)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith('(2, 48, 48, 3) float32 ')
    trained = set(variables['batch']['quality'].tolist())
    tested = set(variables['test_batch']['quality'].tolist())
    assert {frozenset(trained), frozenset(tested)} == {frozenset({2.5, 4}), frozenset({3.5, 1.5})}

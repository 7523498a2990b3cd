"""Command lines and config keys that the pages quote exist, as do the files they link to."""

import importlib.util
import os
import pathlib
import re
import shlex

import pytest

import launch
from launch.__main__ import COMMANDS
from vision_jax.core import config as config_lib

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
CONFIGS = [path for path in sorted((ROOT / 'configs').glob('*/*.py'))
           if path.name != '__init__.py']
SOURCES = PAGES + CONFIGS + sorted((ROOT / 'launch').glob('*.py'))
COMMAND = re.compile(r'(?:python -m |^ *)launch\.\w+ .*|\./launch/\w+.*', re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The words of each quoted command, in code blocks, inline code and docstrings."""
    joined = re.sub(r'\\+\n\s*', ' ', text)
    joined = re.sub(rf'\bvision-jax ({"|".join(COMMANDS)})\b', r'python -m launch.\1', joined)
    found = [re.sub(r'`.*| #.*|".*', '', match) for match in COMMAND.findall(joined)]
    return [shlex.split(command) for command in found]


def problems(words: list[str]) -> list[str]:
    """What a command names that there is not."""
    if words[0].startswith('./'):
        return [] if os.access(ROOT / words[0], os.X_OK) else [f'no program {words[0]}']
    wrong = [f'no module {word}' for word in words if word.startswith('launch.')
             and importlib.util.find_spec(word) is None]
    overrides, rest = launch.split_overrides(words)
    names = [word.removeprefix('--config=') for word in rest if word.startswith('--config=')]
    for name in names:
        if name not in ('...', 'path.py', 'path.py:variant'):
            try:
                config_lib.load(name, overrides=overrides)
            except ValueError as error:
                wrong.append(str(error))
    programs = [word for word in words if word.startswith('launch.')]
    texts = [importlib.util.find_spec(p).loader.get_source(p) for p in programs
             if importlib.util.find_spec(p)]
    texts.append((ROOT / 'launch' / '__init__.py').read_text())
    options = {word.partition('=')[0] for word in rest if word.startswith('--') and len(word) > 2}
    return wrong + [f'no option {option}' for option in sorted(options)
                    if not any(f"'{option}'" in text for text in texts)]


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.name)
def test_quoted_commands_exist(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not [wrong for words in commands(path.read_text()) for wrong in problems(words)]


def test_commands_are_found_and_wrong_ones_seen(monkeypatch):
    monkeypatch.chdir(ROOT)
    quoted = [words for path in PAGES for words in commands(path.read_text())]
    assert ['./launch/demo'] in quoted
    assert len([words for words in quoted if '--config=configs/iqa/metaiqa.py' in words]) >= 3
    (words,) = commands('```\npython -m launch.train --config=configs/iqa/metaiqa.py \\\n'
                        '    --config.data.nam=x --work=y\n```')
    assert [text.split(';')[0] for text in problems(words)] == [
        "config has no key 'data.nam'", 'no option --work']
    assert commands('Say `vision-jax score --lst` once.') == [
        ['python', '-m', 'launch.score', '--lst']]
    assert problems(['launch.score', '--lst']) == ['no option --lst']
    assert problems(['launch.trian', '--config=configs/none.py'])[0] == 'no module launch.trian'
    assert problems(['./launch/demi']) == ['no program ./launch/demi']


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_config_keys_that_a_page_names_can_be_set(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    known = set()
    for name in CONFIGS:
        keys = config_lib.flatten(config_lib.plain(config_lib.load(str(name))))
        known |= {'.'.join(key.split('.')[:n]) for key in keys for n in range(1, 9)}
    named = re.findall(r'\bconfig\.(\w+(?:\.\w+)*)', re.sub(r'```python.*?```', '',
                                                           path.read_text(), flags=re.DOTALL))
    assert set(named) <= known, sorted(set(named) - known)


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_files_that_a_page_names_exist(path):
    text = path.read_text()
    links = [path.parent / link for link in re.findall(r'\]\((?!http)([^)#]+)', text)]
    files = [ROOT / name for name in re.findall(
        r'(?:vision_jax|tests|configs|launch|docs|colabs|benchmarks)/[\w/.]*\w\.(?:py|md|ipynb|csv)\b',
        text)]
    assert not [str(file) for file in links + files if not file.exists()]

"""The command `score`: what it prints, writes and refuses."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data

from launch import __main__ as vision_jax_command
from launch import score
from tests.data import image_mutations
from vision_jax import catalog


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two folders of three pictures, one pair of which is equal, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for folder in ('references', 'distorted'):
        (tmp_path / folder).mkdir()
    for index, name in enumerate('abc'):
        pixels = data.chelsea()[20 * index:20 * index + 48, 90:154]
        Image.fromarray(pixels).save(f'references/{name}.png')
        Image.fromarray(pixels ^ np.uint8(8 * index)).save(f'distorted/{name}.bmp')
    return tmp_path


def run(capfd, *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    code = score.main(list(arguments))
    return code, *capfd.readouterr()


def psnr(name: str) -> float:
    first, second = (np.asarray(Image.open(path), np.float64) / 255 for path in (
        f'references/{name}.png', f'distorted/{name}.bmp'))
    mse = ((first - second) ** 2).mean()
    return -10 * np.log10(mse) if mse else np.inf


FOLDERS = ('references', 'distorted', '--metrics=psnr,mse')


def test_json_is_one_object_a_line(place, capfd):
    code, out, err = run(capfd, *FOLDERS, '--json')
    assert (code, err) == (0, '')
    rows = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert [list(row) for row in rows] == [['reference', 'distorted', 'metric', 'value']] * 6
    assert [(row['distorted'], row['metric']) for row in rows] == [
        (f'distorted/{name}.bmp', metric) for name in 'abc' for metric in ('psnr', 'mse')]
    assert [rows[0]['value'], rows[1]['value']] == ['inf', 0]
    assert rows[4]['value'] == pytest.approx(psnr('c'), rel=1e-6)


def test_csv_has_a_column_a_metric(place, capfd):
    code, out, _ = run(capfd, *FOLDERS, '--csv', '--precision=float64')
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert list(rows[0]) == ['reference', 'distorted', 'psnr', 'mse']
    np.testing.assert_allclose([float(row['psnr']) for row in rows], [psnr(n) for n in 'abc'],
                               rtol=1e-12)


def test_a_table_ends_with_the_means(place, capfd):
    os.remove('references/a.png')
    code, out, err = run(capfd, *FOLDERS)
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines] == ['psnr', 'distorted/b.bmp', 'distorted/c.bmp', 'mean']
    assert float(lines[3][1]) == pytest.approx((psnr('b') + psnr('c')) / 2, rel=1e-5)
    assert (code, err) == (
        0, 'unmatched: distorted/a.bmp: no reference of that name in references\n')


def test_a_file_is_written_whole(place, capfd):
    code, out, _ = run(capfd, 'references/c.png', 'distorted/c.bmp', '--metrics=psnr', '--json',
                       '-o', 'scores.jsonl')
    assert (code, out) == (0, '')
    (line,) = (place / 'scores.jsonl').read_text().splitlines()
    assert json.loads(line)['value'] == pytest.approx(psnr('c'), rel=1e-6)
    assert not (place / 'scores.jsonl.tmp').exists()


def test_unreadable_pairs_are_named_and_the_rest_scored(place, capfd):
    (place / 'distorted/b.bmp').write_bytes(b'BM')
    (place / 'pairs.csv').write_text('reference,distorted\n' + ''.join(
        f'references/{name}.png,distorted/{name}.bmp\n' for name in 'abdc'))
    code, out, err = run(capfd, 'pairs.csv', '--metrics=psnr', '--csv')
    assert code == 1
    assert [line.split(',')[1] for line in out.splitlines()[1:]] == [
        'distorted/a.bmp', 'distorted/c.bmp']
    assert sorted(line.split(':')[1] for line in err.splitlines()) == [
        ' distorted/b.bmp', ' references/d.png']


def test_maps_are_written_with_their_range(place, capfd):
    code, _, err = run(capfd, *FOLDERS, '--map=maps', '--map_white=0.01')
    assert code == 0
    assert 'black is as equal pictures' in err
    rows = list(csv.DictReader((place / 'maps/maps.csv').read_text().splitlines()))
    assert [(row['map'], row['metric'], row['white']) for row in rows] == [
        (f'{name}.mse.png', 'mse', '0.01') for name in 'abc']
    with Image.open(place / 'maps/a.mse.png') as equal, Image.open('maps/c.mse.png') as other:
        assert not np.asarray(equal).any()
        assert other.size == (64, 48)
        assert np.asarray(other).any()
        assert other.text['Comment'] == 'mse: black is an error of 0, the lightest 0.01'


def test_the_list_is_the_catalogue(capfd):
    code, out, _ = run(capfd, '--list', '--json')
    rows = {row['metric']: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert list(rows) == (catalog.names(kind='full_reference')
                          + catalog.names(kind='reduced_reference'))
    assert (rows['psnr']['better'], rows['psnr']['greatest'], rows['psnr']['equal']) == (
        'higher', 'inf', 'inf')
    assert (rows['gmsd']['better'], rows['gmsd']['least']) == ('lower', 0.0)
    _, table, _ = run(capfd, '--list')
    assert len(table.splitlines()) == len(rows) + 1
    (line,) = [line for line in table.splitlines() if line.startswith('gmsd ')]
    assert line.split()[:5] == ['gmsd', 'lower', '0.0', 'to', '0.5']


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'expected REFERENCE DISTORTED or a CSV table, got 0 paths'),
    (['references'], 'references is one folder'),
    (['references', 'distorted/a.bmp'], 'references is a folder and distorted/a.bmp is not'),
    (['none.csv'], 'none.csv: No such file'),
    ([*FOLDERS, '--metrics=pnsr'], "no metric 'pnsr'; did you mean 'psnr'?"),
    ([*FOLDERS, '--metrics=psnr', '--map=maps'], '--map: none of the metrics has a map'),
    ([*FOLDERS, '--map=maps', '--map_white=0'], 'must be over 0'),
    ([*FOLDERS, '--alpha=pink'], "invalid choice: 'pink'"),
    ([*FOLDERS, '--json', '--csv'], 'not allowed with'),
    ([*FOLDERS, '-o', 'none/scores.csv'], 'none/scores.csv: No such file'),
    ([*FOLDERS, '--map=distorted/a.bmp'], 'distorted/a.bmp: File exists'),
])
def test_a_mistake_is_answered_in_one_line(place, capfd, arguments, message):
    code, out, err = run(capfd, *arguments)
    assert (code, out) == (1, '')
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    assert message in err


@pytest.mark.parametrize('count', [20, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_give_a_score_or_one_line_each(count, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    lines = ['reference,distorted']
    for suffix in image_mutations.FORMATS:
        (tmp_path / f'reference.{suffix}').write_bytes(image_mutations.encodings(suffix)[0])
        for index, mutant in enumerate(image_mutations.mutants(suffix, count, seed=1)):
            (tmp_path / f'{index}.{suffix}').write_bytes(mutant)
            lines.append(f'reference.{suffix},{index}.{suffix}')
    (tmp_path / 'pairs.csv').write_text('\n'.join(lines))
    code, out, err = run(capfd, 'pairs.csv', '--metrics=psnr', '--json', '--alpha=white')
    scored = {json.loads(line)['distorted'] for line in out.splitlines()}
    errors = [line for line in err.splitlines() if line.startswith('error: ')]
    others = [line for line in err.splitlines() if line not in errors
              and not line.startswith(('note: ', 'scored '))]
    refused = {line.removeprefix('error: ').split(':')[0].split(' has ')[0] for line in errors}
    assert (code, others) == (1, [])
    assert len(errors) == len(refused)
    assert scored
    assert not scored & refused
    assert len(scored | refused) == count * len(image_mutations.FORMATS)


def test_all_commands_have_one_name(capfd):
    assert vision_jax_command.main(['score', '--list']) == 0
    assert 'vsi' in capfd.readouterr().out
    assert vision_jax_command.main([]) == 0
    assert 'vision-jax evaluate' in capfd.readouterr().out
    assert vision_jax_command.main(['scroe']) == 1
    assert capfd.readouterr().err == "error: no command 'scroe'; did you mean 'score'?\n"


@pytest.mark.slow
def test_the_command_itself(place, repository):
    command = [sys.executable, '-m', 'launch.score', *FOLDERS, '--csv']
    environment = {**os.environ, 'PYTHONPATH': str(repository)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    assert len(done.stdout.splitlines()) == 4
    shutil.copy('distorted/a.bmp', 'references/a.png')  # a BMP of that name is read as what it is
    (place / 'distorted/c.bmp').write_bytes(b'')
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith('error: distorted/c.bmp: no picture')
    assert done.stderr.count('\n') == 1
    assert len(done.stdout.splitlines()) == 3

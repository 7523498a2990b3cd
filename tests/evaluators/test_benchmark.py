"""The benchmark on a small folder of opinions, and on levels: figures by SciPy, files, resuming."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from launch import benchmark as launch_benchmark
from vision_jax.core.errors import InputError
from vision_jax.data.pairs import open_pairs
from vision_jax.evaluators import benchmark, pair_scores

CONTENTS, LEVELS = 4, 5
COLUMNS = 'path,reference_path,reference,distortion,level,quality,deviation'


def _distort(image, kind, level, generator):
    if kind == 1:
        return image + generator.normal(0, 4 * level, image.shape)
    weight = 0.18 * level
    return (1 - weight) * image + weight * image.mean((0, 1))  # loses contrast


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two types at five levels of four photographs, two of another size; noise is disliked more."""
    root = tmp_path_factory.mktemp('photos')
    generator = np.random.default_rng(0)
    lines = [COLUMNS]
    for content in range(CONTENTS):
        shape = (40, 48, 3) if content < 2 else (48, 40, 3)
        image = generator.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        image = np.asarray(Image.fromarray(image).resize(shape[1::-1], Image.Resampling.BICUBIC))
        Image.fromarray(image).save(root / f'reference{content}.png')
        for kind in (1, 2):
            for level in range(1, LEVELS + 1):
                name = f'{content}_{kind}_{level}.png'
                pixels = _distort(image.astype(float), kind, level, generator)
                Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8)).save(root / name)
                quality = 5 - 0.7 * level + 0.5 * (kind == 2) + generator.normal(0, 0.15)
                lines.append(f'{name},reference{content}.png,{content},{kind},{level},{quality},0.2')
    (root / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return root


@pytest.fixture(scope='module')
def pairs(folder):
    return open_pairs({'name': 'folder', 'folder': str(folder)})


@pytest.fixture(scope='module')
def result(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    return benchmark.run(pairs, ['mse', 'gmsd'], out), out


def _mse(pairs):
    return np.array([np.mean((a.astype(float) - b) ** 2) for a, b in map(pairs.__getitem__, range(
        len(pairs)))])


def test_figures_are_those_of_scipy(result, pairs):
    found, errors = result[0]['figures']['mse'], _mse(pairs)
    quality = pairs.source.column('quality')
    kinds = pairs.source.column('distortion')
    assert found['overall']['images'] == len(pairs) == CONTENTS * 2 * LEVELS
    assert found['overall']['srocc'] == pytest.approx(
        -stats.spearmanr(errors, quality).statistic, abs=1e-9)
    assert found['overall']['krocc'] == pytest.approx(
        -stats.kendalltau(errors, quality).statistic, abs=1e-9)
    assert found['overall']['plcc'] >= -stats.pearsonr(errors, quality).statistic
    assert 0 <= found['overall']['outlier_ratio'] <= 1
    for kind in (1, 2):
        here = kinds == kind
        assert found[str(kind)]['srocc'] == pytest.approx(
            -stats.spearmanr(errors[here], quality[here]).statistic, abs=1e-9)


def test_files_hold_the_result(result):
    found, out = result
    assert {path.name for path in out.iterdir()} == {
        'scores.csv', 'figures.csv', 'significance.csv', 'benchmark.md', 'result.json',
        'heat_map.png', 'scatter.png'}
    assert json.loads((out / 'result.json').read_text())['figures']['gmsd'] == (
        found['figures']['gmsd'])
    with (out / 'figures.csv').open() as file:
        rows = {(row['metric'], row['type']): row for row in csv.DictReader(file)}
    assert len(rows) == 2 * 3
    assert float(rows['gmsd', 'overall']['plcc']) == found['figures']['gmsd']['overall']['plcc']
    text = (out / 'benchmark.md').read_text()
    assert f'| mse | {found["figures"]["mse"]["overall"]["srocc"]:.4f} |' in text
    for name in ('heat_map.png', 'scatter.png'):
        with Image.open(out / name) as image:
            assert min(image.size) > 100


def test_significance_marks_point_both_ways(result):
    (row,) = result[0]['significance']
    assert (row['first'], row['second']) == ('mse', 'gmsd')
    table = benchmark.as_markdown({**result[0], 'significance': [
        {**row, 'f': 3.0, 'f_p': 0.01, 'normal': True}]})
    assert '| mse |  | + |' in table
    assert '| gmsd | - |  |' in table


def test_levels_are_ranked_within_types_and_overall_is_their_mean(folder, tmp_path):
    pairs = open_pairs({'name': 'folder', 'folder': str(folder), 'judged': 'level'})
    found = benchmark.run(pairs, ['mse'], tmp_path, plots=False)
    by_type, errors = found['figures']['mse'], _mse(pairs)
    levels, kinds = (pairs.source.column(name) for name in ('level', 'distortion'))
    here = kinds == 2
    assert by_type['2']['srocc'] == pytest.approx(
        stats.spearmanr(errors[here], levels[here]).statistic, abs=1e-9)
    assert by_type['2']['srocc_within'] == pytest.approx(1)
    assert by_type['overall']['srocc'] == pytest.approx(
        (by_type['1']['srocc'] + by_type['2']['srocc']) / 2)
    assert found['significance'] == []
    assert 'no person judged' in (tmp_path / 'benchmark.md').read_text()


class Counting:
    """Counts the pairs that are scored, and fails after so many."""

    def __init__(self, patch, fail_after=10**9):
        self.pairs, self._fail_after = 0, fail_after
        original = pair_scores.scorer

        def scorer(name):
            score = original(name)

            def counted(reference, distorted):
                if self.pairs >= self._fail_after:
                    raise KeyboardInterrupt
                self.pairs += len(reference)
                return score(reference, distorted)

            return counted

        patch.setattr(pair_scores, 'scorer', scorer)


def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not(pairs, tmp_path, monkeypatch):
    whole = pair_scores.score_pairs(pairs, ['mse'], tmp_path / 'whole.csv')
    monkeypatch.setattr(pair_scores, 'LARGEST_BATCH', 4)
    path = tmp_path / 'scores.csv'
    with monkeypatch.context() as patch:
        first = Counting(patch, fail_after=20)
        with pytest.raises(KeyboardInterrupt):
            pair_scores.score_pairs(pairs, ['mse'], path)
    with monkeypatch.context() as patch:
        second = Counting(patch)
        resumed = pair_scores.score_pairs(pairs, ['mse'], path)
        assert first.pairs + second.pairs == len(pairs)
        again = pair_scores.score_pairs(pairs, ['mse'], path)
        assert first.pairs + second.pairs == len(pairs)
        pair_scores.score_pairs(pairs, ['mse', 'gmsd'], path)  # only what is new
        assert first.pairs + second.pairs == 2 * len(pairs)
    np.testing.assert_allclose(resumed['mse'], whole['mse'], rtol=1e-6)
    np.testing.assert_array_equal(again['mse'], resumed['mse'])


def test_scores_of_other_images_are_refused(pairs, tmp_path):
    path = tmp_path / 'scores.csv'
    pair_scores.score_pairs(pairs, ['mse'], path, examples=np.arange(3))
    path.write_text(path.read_text().replace('0_1_2.png', 'other.png'))
    with pytest.raises(InputError, match=r'holds scores of other images \(column path\)'):
        pair_scores.score_pairs(pairs, ['mse'], path)


def test_few_contents_leave_the_others_out(pairs, tmp_path):
    found = benchmark.run(pairs, ['mse'], tmp_path, contents=1, plots=False)
    assert found['images'] == 2 * LEVELS
    assert np.isnan(pair_scores.score_pairs(pairs, ['mse'], tmp_path / 'scores.csv',
                                            examples=np.arange(0))['mse']).sum() == 30


def test_images_too_small_for_a_metric_have_no_score(pairs, monkeypatch, tmp_path):
    row = pair_scores.catalog.entry('mse')
    monkeypatch.setitem(pair_scores.catalog.CATALOG, 'large_only', row._replace(min_side=500))
    found = benchmark.run(pairs, ['large_only', 'mse'], tmp_path, plots=False)
    assert found['figures']['large_only']['overall']['images'] == 0
    assert '| large_only | - |' in (tmp_path / 'benchmark.md').read_text()


def test_the_command_prints_the_table_and_where_it_is(folder, tmp_path, capsys):
    code = launch_benchmark.main([f'--data={folder}', '--metrics=mse, mse', f'--out={tmp_path}',
                                  '--plots=none', '--data.lower_is_better=True', '--contents=2'])
    output = capsys.readouterr().out.splitlines()
    assert code == 0
    assert output[-1] == f'{tmp_path}/benchmark.md'
    assert any(line.startswith('| mse | -0.') for line in output)  # the labels are turned


def test_without_matplotlib_it_says_what_to_install_before_it_starts(
        folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    assert launch_benchmark.main([f'--data={folder}', '--metrics=mse', f'--out={tmp_path}']) == 1
    assert "pip install 'vision_jax[demo]'" in capsys.readouterr().err
    assert not (tmp_path / 'scores.csv').exists()


@pytest.mark.parametrize(('words', 'message'), [
    (['--metrics=ssmi'], "no method 'ssmi'"), (['--metrics=,'], 'names joined by commas'),
    (['--metrics=huber'], "'huber' is no metric"), (['--data=spaq'], "'spaq' has no references"),
    (['--data.tile'], '--data.tile: expected --data.key=value'),
    (['--contents=-1'], '--contents=-1: expected 0 or more'),
])
def test_mistakes_are_one_line(words, message, folder, tmp_path, capsys):
    given = [f'--data={folder}', '--metrics=mse', f'--out={tmp_path}', '--plots=none', *words]
    assert launch_benchmark.main(given) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


def test_a_folder_needs_references(tmp_path, folder):
    (tmp_path / 'labels.csv').write_text('path,quality\na.png,1\n')
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    with pytest.raises(InputError, match="no column 'reference_path'"):
        open_pairs({'name': 'folder', 'folder': str(tmp_path)})
    (tmp_path / 'labels.csv').write_text('path,quality,reference_path\na.png,1,b.png\n')
    with pytest.raises(InputError, match='unreadable image .*b.png'):
        open_pairs({'name': 'folder', 'folder': str(tmp_path)})[0]
    Image.new('RGB', (9, 8)).save(tmp_path / 'b.png')
    with pytest.raises(InputError, match=r'the reference is \(8, 9, 3\)'):
        open_pairs({'name': 'folder', 'folder': str(tmp_path)})[0]

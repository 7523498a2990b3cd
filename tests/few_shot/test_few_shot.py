"""The few-shot protocol: what it may see, what it computes, what it reports."""

import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import scipy.stats

from vision_jax.core import optim, state
from vision_jax.core.errors import InputError
from vision_jax.core.step import build_train_step
from vision_jax.data.sources import ArraySource
from vision_jax.few_shot import protocol, report, sampling
from vision_jax.few_shot.table import Table, build_table, draw_splits, rows_of
from vision_jax.iqa.stage_statistics import LinearHead
from vision_jax.losses.regression import squared_error
from vision_jax.tasks.quality import quality_task

PHOTOGRAPHS, DISTORTIONS, EACH, WIDTH = 6, 5, 8, 12


@pytest.fixture(scope='module')
def table() -> Table:
    """Labels are linear in the features, with another slope for each distortion."""
    generator = np.random.default_rng(0)
    reference, distortion, _ = (
        grid.ravel() for grid in np.mgrid[:PHOTOGRAPHS, :DISTORTIONS, :EACH]
    )
    features = generator.normal(size=(len(reference), WIDTH)).astype(np.float32)
    slopes = 1.0 + 0.3 * generator.normal(size=(DISTORTIONS, WIDTH))
    quality = (features * slopes[distortion]).sum(1).astype(np.float32)
    return Table(features, quality, reference, distortion)


@pytest.fixture(scope='module')
def splits(table):
    return draw_splits(table, count=3, photographs=2, distortions=2, seed=0)


def method(name: str, **changes) -> ml_collections.ConfigDict:
    joint = {'meta': {'name': ''}, 'batch': {'size': 16}}
    maml = {
        'meta': {'name': 'maml', 'inner_lr': 0.3, 'inner_steps': 2, 'order': 2},
        'batch': {'tasks': 2, 'support': 4, 'query': 6},
    }
    common = {'optimizer': {'name': 'sgd', 'learning_rate': 0.05}, 'steps': 20}
    return ml_collections.ConfigDict({**common, **(maml if name == 'maml' else joint), **changes})


TASK = quality_task(LinearHead(), squared_error, field='features')


def test_splits_part_photographs_and_distortions(table, splits):
    for split in splits:
        assert not set(split.train_photographs) & set(split.test_photographs)
        assert not set(split.train_distortions) & set(split.test_distortions)
        assert len(split.test_photographs) == len(split.test_distortions) == 2
    assert len({tuple(split.test_photographs) for split in splits}) > 1
    with pytest.raises(InputError, match='test_photographs=6: expected 1 to 5'):
        draw_splits(table, count=1, photographs=6, distortions=2, seed=0)


def test_training_rows_never_leave_the_training_part(table, splits):
    allowed = set(rows_of(table, splits[0].train_photographs, splits[0].train_distortions))
    joint = sampling.batch_rows(table, splits[0], steps=9, size=30, seed=1)
    episodes = sampling.episode_rows(
        table, splits[0], steps=9, tasks=3, support=4, query=6, seed=1
    )
    assert set(joint.ravel()) <= allowed
    assert set(episodes['support'].ravel()) | set(episodes['query'].ravel()) <= allowed


def test_an_episode_is_one_distortion_and_its_sides_share_no_photograph(table, splits):
    rows = sampling.episode_rows(table, splits[0], steps=9, tasks=3, support=4, query=6, seed=1)
    for support, query in zip(
        rows['support'].reshape(-1, 4), rows['query'].reshape(-1, 6), strict=True
    ):
        assert len(set(table.distortion[support]) | set(table.distortion[query])) == 1
        assert not set(table.reference[support]) & set(table.reference[query])


def test_labelled_images_show_the_unseen_distortion_on_training_photographs(table, splits):
    unseen = splits[0].test_distortions[0]
    rows = sampling.shot_rows(table, splits[0], unseen, shots=5, draws=7, seed=3)
    assert rows.shape == (7, 5)
    assert set(table.distortion[rows.ravel()]) == {unseen}
    assert set(table.reference[rows.ravel()]) <= set(splits[0].train_photographs)
    assert all(len(set(draw)) == 5 for draw in rows)


def one_run(table, run) -> protocol.Columns:
    """The columns of a single run."""
    columns = protocol.on_device(table, [run])
    return columns._replace(quality=columns.quality[0])


def test_labels_are_standardised_by_the_training_part(table, splits):
    runs = [protocol.Run(split, (0, 0)) for split in splits]
    labels = protocol.on_device(table, runs).quality
    for run, standardised in zip(runs, labels, strict=True):
        rows = rows_of(table, run.split.train_photographs, run.split.train_distortions)
        np.testing.assert_allclose(standardised[rows].mean(), 0, atol=1e-5)
        np.testing.assert_allclose(standardised[rows].std(), 1, rtol=1e-5)
        slope = np.polyfit(table.quality, standardised, 1)[0]
        np.testing.assert_allclose(slope, 1 / table.quality[rows].std(), rtol=1e-4)


@pytest.mark.parametrize('name', ['joint', 'maml'])
def test_all_runs_at_once_equal_the_engines_step_run_by_run(table, splits, name):
    runs = [protocol.Run(split, (0, index)) for index, split in enumerate(splits)]
    params, _ = protocol.train(TASK, method(name), table, runs)
    learner = TASK
    if name == 'maml':
        from vision_jax.meta.maml import maml

        learner = maml(TASK, inner_lr=0.3, inner_steps=2)
    optimizer = optim.make_optimizer(method(name).optimizer)
    step = build_train_step(learner, optimizer)
    keys = jax.random.split(jax.random.key(0), len(runs))
    for index, run in enumerate(runs):
        episodes, columns = name == 'maml', one_run(table, run)
        rows = protocol.draw_rows(method(name), table, run, episodes=episodes)
        begin = protocol.initial_rows(table, run, episodes=episodes)
        current = state.create(learner, optimizer, protocol.take(columns, begin), keys[index])
        for at in range(20):
            batch = protocol.take(columns, jax.tree.map(lambda x, at=at: x[at], rows))
            current, _ = step(current, batch, keys[index])
        for ours, one in zip(
            jax.tree.leaves(params), jax.tree.leaves(current.params), strict=True
        ):
            np.testing.assert_allclose(ours[index], one, rtol=2e-5, atol=1e-6)


def test_scores_are_scipys_and_meta_training_helps(table, splits):
    runs = [protocol.Run(split, (0, index)) for index, split in enumerate(splits)]
    options = {'inner_lr': 0.3, 'inner_steps': 10, 'order': 1}
    means = {}
    for name, steps in (('fresh', 0), ('joint', 20)):
        trained = protocol.train(TASK, method('joint', steps=steps), table, runs)
        scores, points = protocol.evaluate(TASK, options, *trained, table, runs, shots=4, draws=3)
        assert scores.shape == (3, 3, 2)
        point = points[1][0]
        expected = scipy.stats.spearmanr(point['predictions'][2], table.quality[point['rows']])
        np.testing.assert_allclose(scores[1, 2, 0], expected.statistic, rtol=1e-6)
        assert set(table.reference[point['rows']]) == set(splits[1].test_photographs)
        means[name] = scores.mean()
    assert means['joint'] > means['fresh'] + 0.1


def test_a_head_that_predicts_a_constant_has_no_score(table, splits):
    runs = [protocol.Run(splits[0], (0, 0))]
    trained = protocol.train(TASK, method('joint', steps=0), table, runs)
    scores, _ = protocol.evaluate(TASK, {}, *trained, table, runs, shots=0, draws=3)
    assert np.isnan(scores).all()


def test_a_diverging_method_stops_with_its_step(table, splits):
    wild = method('joint', optimizer={'name': 'sgd', 'learning_rate': 1e20})
    with pytest.raises(FloatingPointError, match='not finite at step'):
        protocol.train(TASK, wild, table, [protocol.Run(splits[0], (0, 0))])


def test_features_are_computed_once(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
    scalars = {'quality': np.arange(7.0, dtype=np.float32), 'reference': np.arange(7),
               'distortion': np.zeros(7, int)}
    source, calls = ArraySource({'image': images, **scalars}), []

    def extract(batch):
        calls.append(len(batch))
        return jnp.mean(batch, axis=(1, 2))

    options = {'fingerprint': 'a', 'folder': tmp_path}
    table = build_table(source, extract, **options)
    np.testing.assert_allclose(table.features, images.mean((1, 2)) / 255, rtol=1e-5)
    again = build_table(source, extract, **options)
    np.testing.assert_array_equal(table.features, again.features)
    assert len(calls) == 1
    build_table(source, extract, fingerprint='b', folder=tmp_path)
    assert len(calls) == 2
    with pytest.raises(InputError, match='NaN'):
        build_table(source, lambda x: jnp.full((len(x), 2), jnp.nan), fingerprint='c',
                    folder=tmp_path)


def test_intervals_hold_the_mean_and_margins_are_paired():
    generator = np.random.default_rng(0)
    base = generator.normal(0.5, 0.2, size=(6, 1, 4, 3))
    summary = report.summarise({'plain': {5: base}, 'maml': {5: base + 0.1}})
    row, margin = summary['table']['plain'][5], summary['margins']['maml - plain'][5]
    assert row['low'] < row['mean'] < row['high']
    np.testing.assert_allclose(row['mean'], base.mean())
    np.testing.assert_allclose([margin['low'], margin['mean'], margin['high']], 0.1, atol=1e-12)


def test_report_is_written_whole(tmp_path):
    generator = np.random.default_rng(0)
    scores = {name: {k: generator.uniform(size=(3, 1, 2, 2)) for k in (5, 10)}
              for name in ('plain', 'maml')}
    points = {name: {'label': np.arange(4.0), 'prediction': np.arange(4.0),
                     'distortion': np.array(['a', 'a', 'b', 'b'])} for name in scores}
    result = {**report.summarise(scores), 'protocol': {'label': 'pseudo-MOS <vsi>'}}
    report.write(result, points, tmp_path, shots=10)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {'result.json', 'curves.png', 'scatter.png', 'report.html'}
    read = json.loads((tmp_path / 'result.json').read_text())
    assert read['table']['maml']['10']['mean'] == result['table']['maml'][10]['mean']
    page = (tmp_path / 'report.html').read_text()
    assert page.count('data:image/png') == 2
    assert 'pseudo-MOS &lt;vsi&gt;' in page
    assert f'{result["table"]["plain"][5]["mean"]:.3f}' in report.as_text(result)

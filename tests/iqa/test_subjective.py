"""Subjective data against recorded figures of sureal, closed forms and simulated panels."""

import csv
import hashlib
import pathlib

import jax
import numpy as np
import pytest
from scipy import optimize, stats

from vision_jax.core.errors import InputError
from vision_jax.iqa import subjective

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'subjective'
CONTENTS = {'grades_40x24': 4, 'marks_30x18': 5}  # as the calls in the table say
FLOAT32 = 2e-4


def _groups():
    with (GOLDEN / 'sureal.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    keys = sorted({(row['name'], row['input']) for row in rows})
    return [pytest.param([row for row in rows if (row['name'], row['input']) == key],
                         id='-'.join((key[0], key[1].split()[0]))) for key in keys]


def _ratings(label):
    name, digest = label.split()
    encoded = (GOLDEN / f'{name}.txt').read_bytes()
    assert hashlib.sha256(encoded).hexdigest().startswith(digest.removeprefix('sha256:'))
    return name, np.loadtxt(encoded.decode().splitlines())


def _columns(name, label, ratings):
    """What our function of that name gives, by sureal's names."""
    matrix = ratings.astype(float)
    contents = np.arange(len(matrix)) % CONTENTS[label]
    if name == 'screen':
        found = subjective.screen(ratings, deviation='population')
        # sureal divides by the number of stimuli, also where an observer did not see all
        seen = np.mean(~np.isnan(matrix), axis=0)
        return {'quality_scores': subjective.mos(subjective.keep(ratings, found.rejected)).score,
                'observer_rejected': found.rejected,
                'observer_rejected_1st_stats': found.share * seen,
                'observer_rejected_2nd_stats': found.balance}
    if name == 'bias_removed_mos':
        found = subjective.bias_removed_mos(ratings, deviation='population')
        return {'quality_scores': found.scores.score, 'quality_scores_std': found.scores.error,
                'observer_bias': found.bias, 'observer_rejected': found.screening.rejected}
    if name == 'z_scores':
        return {'quality_scores': subjective.mos(subjective.z_scores(ratings)).score}
    functions = {
        'mos': subjective.mos,
        'dmos by=mean': lambda x: subjective.dmos(x, np.arange(len(x)) % 5, by='mean'),
        'maximum_likelihood': subjective.maximum_likelihood,
        'maximum_likelihood error=observer': lambda x: subjective.maximum_likelihood(
            x, error='observer'),
        'maximum_likelihood_with_content step=newton': lambda x: (
            subjective.maximum_likelihood_with_content(x, contents, step='newton')),
    }
    found = functions[name](ratings)._asdict()
    names = {'quality_scores': 'score', 'quality_scores_std': 'error', 'observer_bias': 'bias',
             'observer_inconsistency': 'inconsistency', 'content_ambiguity': 'ambiguity'}
    return {theirs: found[ours] for theirs, ours in names.items() if ours in found}


def _value(columns, quantity):
    name, _, index = quantity.rstrip(']').partition('[')
    return float(columns[name][int(index)])


@pytest.mark.parametrize('rows', _groups())
def test_figures_of_sureal(rows):
    label, ratings = _ratings(rows[0]['input'])
    with jax.enable_x64(True):
        columns = _columns(rows[0]['name'], label, ratings)
    for row in rows:
        assert _value(columns, row['quantity']) == pytest.approx(
            float(row['value']), rel=float(row['tolerance']), abs=1e-8), row['quantity']


@pytest.mark.parametrize('name', ['mos', 'bias_removed_mos', 'maximum_likelihood'])
def test_single_precision_is_close(name):
    _, ratings = _ratings(next(g.values[0] for g in _groups() if g.id == f'{name}-marks_30x18')
                          [0]['input'])
    with jax.enable_x64(True):
        double = _columns(name, 'marks_30x18', ratings)
    single = _columns(name, 'marks_30x18', np.float32(ratings))
    for quantity, values in double.items():
        np.testing.assert_allclose(single[quantity], values, rtol=FLOAT32, atol=FLOAT32 * 10,
                                   err_msg=quantity)


def _panel(seed=0, stimuli=60, observers=20, missing=0.0, quietest=2):
    """Ratings of a known quality by observers of known bias and inconsistency."""
    generator = np.random.default_rng(seed)
    quality = generator.uniform(20, 80, stimuli)
    bias = generator.normal(0, 5, observers)
    noise = generator.uniform(quietest, 12, observers)
    ratings = quality[:, None] + bias + noise * generator.normal(size=(stimuli, observers))
    ratings[generator.random(ratings.shape) < missing] = np.nan
    return ratings, quality, bias - bias.mean(), noise


@pytest.mark.parametrize(('interval', 'quantile'), [
    ('normal', 1.959963984540054), ('student', stats.t.ppf(0.975, [2, 1]))])
def test_intervals_are_quantiles_of_the_standard_error(interval, quantile):
    with jax.enable_x64(True):
        found = subjective.mos([[1, 2, 3], [4, 5, np.nan]], interval=interval)
    np.testing.assert_allclose(found.score, [2, 4.5])
    np.testing.assert_allclose(found.error, [1 / np.sqrt(3), 0.5])
    half = quantile * np.asarray(found.error)
    np.testing.assert_allclose(found.high - found.score, half)
    np.testing.assert_allclose(found.score - found.low, half)
    np.testing.assert_array_equal(found.count, [3, 2])


def test_one_rating_has_a_score_and_no_interval():
    found = subjective.mos([[1.0, np.nan], [2.0, 4.0]])
    assert found.score[0] == 1
    assert np.isnan(found.error[0])


def test_differences_are_against_the_same_observers_reference():
    ratings = [[5.0, 4.0, 3.0], [3.0, 3.0, 3.0], [5.0, 5.0, 5.0]]
    own = subjective.dmos(ratings, [0, 0, 0])
    np.testing.assert_allclose(own.score, [5, 4, 6])
    np.testing.assert_allclose(own.deviation, [0, 1, 1], atol=1e-6)
    bent = subjective.dmos(ratings, [0, 0, 0], crush=True).score
    np.testing.assert_allclose(bent[2], (5 + 7 * 6 / 8 + 7 * 7 / 9) / 3, rtol=1e-6)
    mean = subjective.dmos(ratings, [0, 0, 0], by='mean')
    np.testing.assert_allclose(mean.score, own.score, rtol=1e-6)
    assert mean.deviation[1] == pytest.approx(0, abs=1e-6)


def test_dscqs_is_percent_of_the_scale():
    difference = subjective.dscqs_differences([[8.0, 6.0]], [[2.0, 7.0]], high=10.0)
    np.testing.assert_allclose(difference, [[60, -10]], rtol=1e-6)


def test_z_scores_have_mean_0_and_deviation_1():
    ratings = _panel(missing=0.2)[0]
    ratings[:, 3] = 4.0
    z = np.asarray(subjective.z_scores(ratings))
    others = np.delete(z, 3, axis=1)
    np.testing.assert_allclose(np.nanmean(others, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(others, 0, ddof=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(z[:, 3], 0)
    np.testing.assert_allclose(subjective.z_scores(ratings, rescale=True), 50 + 100 * z / 6,
                               rtol=1e-5)


def test_screening_counts_as_by_hand():
    """Observers at 0 and 1 in turn, and a far one; others between bring the kurtosis below 4."""
    ratings = np.tile(np.arange(30.0) % 2, (40, 1))
    ratings[::2, 29], ratings[1::2, 29] = 9, -8
    ratings[20:, 29] = np.where(ratings[20:, 29] > 0, 2.2, -1.2)
    found = subjective.screen(ratings)
    kurtosis = stats.kurtosis(ratings, axis=1, fisher=False)
    limit = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20))
    z = (ratings - ratings.mean(1, keepdims=True)) / ratings.std(1, ddof=1, keepdims=True)
    assert len(set(limit)) == 2
    assert found.above[29] > 0
    np.testing.assert_array_equal(found.above, (z >= limit[:, None]).sum(0))
    np.testing.assert_array_equal(found.below, (z <= -limit[:, None]).sum(0))


def test_an_erratic_observer_is_rejected_and_a_strict_one_is_not():
    generator = np.random.default_rng(1)
    quality = generator.uniform(20, 80, 60)
    ratings = quality[:, None] + generator.normal(size=(60, 80)) * 4
    ratings[:, 5] = quality + generator.choice([-80, 80], 60)
    ratings[:, 8] -= 90
    found = subjective.screen(ratings)
    assert np.flatnonzero(found.rejected).tolist() == [5]
    assert found.below[8] > 30
    assert found.balance[8] == 1


def test_unanimous_stimuli_reject_nobody():
    assert not subjective.screen(np.full((10, 5), 3.0)).rejected.any()


def test_maximum_likelihood_is_a_maximum():
    """No other bias, quality or inconsistency is more likely: SciPy finds no way up."""
    ratings = _panel(stimuli=25, observers=12, missing=0.1, quietest=8)[0]
    with jax.enable_x64(True):
        found = subjective.maximum_likelihood(ratings)

    def loss(x):
        quality, bias, noise = np.split(x, [25, 37])
        residual = (ratings - quality[:, None] - bias) / np.exp(noise)
        return np.nansum(residual ** 2 / 2 + noise[None] * np.ones_like(residual) * ~np.isnan(
            ratings))

    start = np.concatenate([found.score, found.bias, np.log(found.inconsistency)])
    slope = optimize.approx_fprime(start, loss, 1e-6)
    assert np.abs(slope).max() < 1e-3
    best = optimize.minimize(loss, start, method='L-BFGS-B').fun
    assert loss(start) == pytest.approx(best, abs=1e-6)


def test_recovery_finds_what_made_the_ratings_and_beats_the_mean():
    ratings, quality, bias, noise = _panel(stimuli=400, observers=25, missing=0.1)
    found = subjective.maximum_likelihood(ratings)
    np.testing.assert_allclose(found.bias, bias, atol=2)
    np.testing.assert_allclose(found.inconsistency, noise, rtol=0.2)
    error = np.std(np.asarray(found.score) - quality)
    assert error < 0.9 * np.std(np.asarray(subjective.mos(ratings).score) - quality)
    inside = (found.low <= quality + found.score.mean() - quality.mean()) & (
        found.high >= quality + found.score.mean() - quality.mean())
    assert 0.9 < inside.mean() < 0.99


def test_ambiguous_contents_are_found():
    generator = np.random.default_rng(3)
    contents = np.repeat([7, 2, 9], 40)
    ambiguity = np.array([1.0, 6.0, 12.0])[np.searchsorted([2, 7, 9], contents)]
    ratings = generator.uniform(20, 80, 120)[:, None] + generator.normal(size=(120, 24)) * np.hypot(
        ambiguity[:, None], 3.0)
    found = subjective.maximum_likelihood_with_content(ratings, contents)
    np.testing.assert_allclose(np.hypot(found.ambiguity, np.median(found.inconsistency)),
                               np.hypot([1, 6, 12], 3), rtol=0.1)


def test_scoring_is_likelier_than_newtons_steps():
    _, ratings = _ratings(next(group.values[0][0]['input'] for group in _groups()
                               if group.id == 'mos-marks_30x18'))
    contents = np.arange(30) % 5

    def loss(found):
        variance = found.inconsistency[None] ** 2 + found.ambiguity[contents][:, None] ** 2
        residual = ratings - found.score[:, None] - found.bias[None]
        return np.nansum(np.log(variance) + residual ** 2 / variance)

    with jax.enable_x64(True):
        losses = {step: loss(subjective.maximum_likelihood_with_content(
            ratings, contents, step=step)) for step in ('scoring', 'newton')}
    assert losses['scoring'] < losses['newton']


def test_jit_and_vmap_give_the_same():
    panels = np.stack([_panel(seed, stimuli=15, observers=8, missing=0.1)[0] for seed in range(3)])
    for function in (subjective.mos, subjective.screen, subjective.maximum_likelihood,
                     subjective.bias_removed_mos):
        mapped = jax.tree.leaves(jax.jit(jax.vmap(function))(panels))
        alone = [jax.tree.leaves(function(panel)) for panel in panels]
        for values, parts in zip(mapped, zip(*alone, strict=True), strict=True):
            np.testing.assert_allclose(values, np.stack(parts), rtol=1e-4, atol=1e-3)


def test_a_slider_stays_where_it_was_left():
    samples = subjective.hold([0.6, 2.0, 2.1], [10, 20, 30], duration=3)
    np.testing.assert_array_equal(samples, [np.nan, np.nan, 10, 10, 20, 30])


def test_segments_undo_the_delay_and_discard_the_beginning():
    traces = np.arange(24.0)[None, None] + 100 * np.arange(2)[:, None, None]  # 12 s at 2 Hz
    found = subjective.vote_segments(traces, window=2, delay=1, settle=3)
    # from second 4 = sample 8: windows of 4 samples, 8..11, 12..15, 16..19, 20..23
    np.testing.assert_allclose(found.votes[:, 0],
                               [9.5, 13.5, 17.5, 21.5, 109.5, 113.5, 117.5, 121.5])
    np.testing.assert_array_equal(found.start, [3, 5, 7, 9] * 2)
    np.testing.assert_array_equal(found.configuration, [0] * 4 + [1] * 4)


def test_continuous_screening_tells_shifts_from_inversions():
    generator = np.random.default_rng(4)
    configuration = np.repeat(np.arange(6), 10)
    quality = np.tile([50.0] * 8 + [20, 80], 6)
    votes = quality[:, None] + generator.normal(size=(60, 80)) * 4
    votes[:, 3] += 60  # shifted, and follows the quality
    votes[:, 11] = 100 - quality  # inverted, and not shifted
    found = subjective.screen_continuous(votes, configuration)
    assert np.flatnonzero(found.shift.rejected).tolist() == [3]
    assert np.flatnonzero(found.inversion.rejected).tolist() == [11]
    assert np.flatnonzero(found.rejected).tolist() == [3, 11]


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: subjective.mos(np.ones(4)), r'ratings: expected \[stimuli, observers\].*\(4,\)'),
    (lambda: subjective.mos(np.ones((4, 1))), r'2 observers \(columns\), got shape \(4, 1\)'),
    (lambda: subjective.screen(np.ones((4, 2))), r'3 observers \(columns\)'),
    (lambda: subjective.mos([[1, 2], [np.nan, np.nan]]), 'stimulus 1 .* has no rating'),
    (lambda: subjective.mos([[1, np.inf]]), 'ratings: holds infinity'),
    (lambda: subjective.mos([['a', 'b']]), 'ratings: expected numbers'),
    (lambda: subjective.mos([[1, 2]], interval='studant'), "did you mean 'student'"),
    (lambda: subjective.mos([[1, 2]], level=95), r'level: expected a number in \(0, 1\), got 95'),
    (lambda: subjective.dmos([[1, 2]], [1]), 'expected rows 0 to 0, got 1 to 1'),
    (lambda: subjective.dmos([[1, 2]], [0.5]), 'expected 1 row numbers'),
    (lambda: subjective.dscqs_differences([[1, 2]], [[1, 200]]), r'assessed: .*\[0, 100\], got'),
    (lambda: subjective.dscqs_differences([[1, 2]], [[1, 2, 3]]), 'must have the same shape'),
    (lambda: subjective.maximum_likelihood([[1, 2]], error='none'), 'error: unknown name'),
    (lambda: subjective.maximum_likelihood_with_content([[1, 2], [2, 3]], [0, 1]),
     'each stimulus has one of its own'),
    (lambda: subjective.maximum_likelihood_with_content([[1, 2]], [0, 1]), 'one of each of 1'),
    (lambda: subjective.screen_continuous(np.ones((4, 3)), [0]), 'one of each of 4 segments'),
    (lambda: subjective.vote_segments(np.ones((1, 2, 30))), '30 samples are too short'),
    (lambda: subjective.vote_segments(np.ones((1, 2, 90)), window=0.7), 'window: expected a whole'),
    (lambda: subjective.vote_segments(np.ones((2, 90))), r'traces: expected \[stimuli, observers'),
    (lambda: subjective.hold([1, 0.5], [1, 2], duration=3), 'ascending'),
])
def test_bad_matrices_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()

"""The embedded data set: built small, read back, compared with the functions that it is made by."""

import math
import pickle
import sys

import jax
import numpy as np
import pytest
import scipy.stats

from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data import distortions, photo_builder, photo_distortions
from vision_jax.data.pairs import open_pairs
from vision_jax.data.photo_tiles import choose_tiles, cut
from vision_jax.data.photographs import PHOTOGRAPHS, load_photograph
from vision_jax.iqa.full_reference.vsi import vsi

NAMES = ('coffee', 'rocket', 'china')
NUMBERS = tuple(number for number, row in enumerate(PHOTOGRAPHS) if row.name in NAMES)
TYPES = (1, 9, 10, 18, 23)  # with an identity, on whole photographs, plain, unranked, random
SMALL = {'name': 'photo_distortions', 'tile': 64, 'tiles_per_photo': 2, 'photographs': NAMES,
         'test_photographs': 1, 'test_distortions': 1}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """A built data set of five types on three photographs."""
    rows = tuple(row for row in distortions.DISTORTIONS if row.number in TYPES)
    built = {**SMALL, 'directory': str(tmp_path_factory.mktemp('data'))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distortions, 'DISTORTIONS', rows)
        photo_distortions.open_builder(built)
    return built


@pytest.fixture(scope='module')
def everything(config):
    return data.load({**config, 'identities': True, 'unranked': True}, 'all')


def columns(source) -> dict[str, np.ndarray]:
    return {name: source.column(name) for name in source.columns}


def test_pairs_have_the_pristine_tile_and_are_judged_by_level(config):
    pairs = open_pairs({**config, 'identities': True})
    same = [np.array_equal(*pairs[index]) for index in range(len(pairs))]
    np.testing.assert_array_equal(same, pairs.source.column('identity'))
    assert 0 < sum(same) < len(pairs)
    assert len(np.unique(pairs.content)) == len(NUMBERS) * 2
    assert (pairs.judged, pairs.higher_is_better) == ('level', False)
    assert set(pairs.source.column('distortion')) == set(TYPES)  # also those that VSI cannot rank


def test_it_holds_every_type_level_and_tile_once(everything):
    fields = columns(everything)
    keys = zip(*(fields[k] for k in ('distortion', 'level', 'reference', 'tile')), strict=True)
    assert sorted(keys) == [(t, level, p, tile) for t in TYPES for level in range(1, 6)
                            for p in sorted(NUMBERS) for tile in (0, 1)]
    assert 'tensorflow' not in sys.modules


def test_images_are_distorted_tiles(everything):
    """Types that are not random, of a photograph's second tile."""
    photo = load_photograph('china')
    corners = choose_tiles(photo, side=64, count=2, seed=0)
    pristine = cut(photo, corners, 64)[1].astype(np.float32) / 255
    fields = columns(everything)
    number = [row.name for row in PHOTOGRAPHS].index('china')
    for distortion, level in ((1, 4), (10, 2), (18, 5)):
        here = ((fields['distortion'] == distortion) & (fields['level'] == level)
                & (fields['reference'] == number) & (fields['tile'] == 1))
        image = everything[int(np.flatnonzero(here)[0])]['image']
        expected = distortions.distort(jax.random.key(0), pristine, number=distortion, level=level)
        assert np.abs(image - 255 * np.asarray(expected)).max() <= 1.01


def test_jpeg2000_is_cut_from_the_compressed_photograph(everything):
    photo = load_photograph('rocket')
    coded = distortions.jpeg2000(photo.astype(np.float32) / 255, ratio=120)
    top, left = choose_tiles(photo, side=64, count=2, seed=0)[0]
    fields = columns(everything)
    number = [row.name for row in PHOTOGRAPHS].index('rocket')
    here = ((fields['distortion'] == 9) & (fields['level'] == 4) & (fields['tile'] == 0)
            & (fields['reference'] == number))
    image = everything[int(np.flatnonzero(here)[0])]['image']
    np.testing.assert_allclose(image / 255, coded[top:top + 64, left:left + 64], atol=1e-6)


def test_labels_are_vsi_of_the_stored_image(everything):
    fields = columns(everything)
    for index in np.random.default_rng(0).integers(len(everything), size=6):
        name = PHOTOGRAPHS[fields['reference'][index]].name
        photo = load_photograph(name)
        corner = choose_tiles(photo, side=64, count=2, seed=0)[fields['tile'][index]]
        pristine = cut(photo, corner[None], 64)[0].astype(np.float32) / 255
        image = everything[int(index)]['image'].astype(np.float32) / 255
        score = float(vsi(pristine, image))
        np.testing.assert_allclose(fields['vsi'][index], score, atol=2e-5)
        np.testing.assert_allclose(fields['pseudo_mos'][index],
                                   -math.log(1 - score + 1e-3), atol=0.03)


def test_identities_are_the_pristine_tile_and_left_out_by_default(config, everything):
    fields = columns(everything)
    same = fields['identity']
    assert set(zip(fields['distortion'][same], fields['level'][same], strict=True)) == {
        (1, 1), (18, 1)}
    np.testing.assert_allclose(fields['vsi'][same], 1, atol=1e-6)
    assert fields['vsi'][~same].max() < 1 - 1e-5
    default = columns(data.load(config, 'all'))
    assert not default['identity'].any()
    assert set(default['distortion']) == {1, 9, 10, 23}


def test_quality_is_the_label_that_is_asked_for(config, everything):
    scores = everything.column('vsi')
    np.testing.assert_array_equal(everything.column('quality'), everything.column('pseudo_mos'))
    whole = {**config, 'identities': True, 'unranked': True}
    ranks = data.load({**whole, 'label': 'pseudo_mos_rank'}, 'all').column('quality')
    assert scipy.stats.spearmanr(ranks, scores)[0] > 1 - 1e-9
    assert (ranks.min(), ranks.max() <= 1) == (0, True)
    np.testing.assert_array_equal(data.load({**whole, 'label': 'vsi'}, 'all').column('quality'),
                                  scores)
    with pytest.raises(InputError, match="no label 'mos'; known names: pseudo_mos"):
        data.load({**config, 'label': 'mos'}, 'all')


def test_splits_share_no_photograph(config):
    for seed in range(3):
        parts = {name: data.load({**config, 'split_seed': seed}, name)
                 for name in ('train', 'test')}
        train, test = (set(parts[name].column('reference')) for name in ('train', 'test'))
        assert train | test == set(NUMBERS)
        assert not train & test
        assert len(test) == 1


def test_meta_splits_share_neither_photograph_nor_type(config):
    unseen_type = {seed: photo_distortions.split_distortions(seed, 1)[1][0] for seed in range(60)}
    seed = next(seed for seed, number in unseen_type.items() if number in TYPES)
    here = {**config, 'split_seed': seed}
    parts = {name: columns(data.load(here, name)) for name in ('meta_train', 'meta_test',
                                                               'support')}
    types = {name: set(part['distortion']) for name, part in parts.items()}
    photos = {name: set(part['reference']) for name, part in parts.items()}
    assert types['meta_test'] == types['support'] == {unseen_type[seed]}
    assert not types['meta_train'] & types['meta_test']
    assert photos['meta_train'] == photos['support']
    assert not photos['meta_train'] & photos['meta_test']
    with pytest.raises(InputError, match="no split 'meta_tst'; did you mean 'meta_test'"):
        data.load(config, 'meta_tst')


def test_split_helpers_cover_everything_once():
    train, test = photo_distortions.split_photographs(7, 4)
    assert sorted(train + test) == list(range(len(PHOTOGRAPHS)))
    assert len(test) == 4
    train, test = photo_distortions.split_distortions(7, 5)
    assert len(test) == 5
    assert not {5, 7, 18, 25} & set(train + test)
    both = photo_distortions.split_distortions(7, 5, unranked=True)
    assert sorted(both[0] + both[1]) == list(range(1, 26))
    assert photo_distortions.split_photographs(7, 4) != photo_distortions.split_photographs(8, 4)
    with pytest.raises(InputError, match='test_photographs: expected 1 to 10, got 11'):
        photo_distortions.split_photographs(0, 11)


def test_other_parameters_are_another_data_set():
    names = {photo_builder.PhotoConfig(**options).name
             for options in ({}, {'tile': 96}, {'tiles_per_photo': 4}, {'seed': 1},
                             {'photographs': NAMES}, {'photographs': NAMES[:2]})}
    assert len(names) == 6
    with pytest.raises(InputError, match="did you mean 'coffee'"):
        photo_builder.PhotoConfig(photographs=('cofee',))


def test_a_broken_build_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError('no more')

    monkeypatch.setattr(distortions, 'DISTORTIONS', distortions.DISTORTIONS[17:18])
    monkeypatch.setattr(photo_builder, 'pseudo_mos', broken)
    here = {**SMALL, 'directory': str(tmp_path)}
    with pytest.raises(RuntimeError, match='no more'):
        photo_distortions.open_builder(here)
    monkeypatch.undo()
    monkeypatch.setattr(distortions, 'DISTORTIONS', distortions.DISTORTIONS[17:18])
    assert len(data.load({**here, 'unranked': True, 'identities': True}, 'all')) == 30


def test_a_build_says_how_far_it_is_and_nothing_else(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(distortions, 'DISTORTIONS', distortions.DISTORTIONS[17:18])
    config = {**SMALL, 'directory': str(tmp_path), 'unranked': True}
    for _ in range(2):
        source = data.load(config, 'all')
    pickle.loads(pickle.dumps(source))  # as to a worker process
    output, progress = capfd.readouterr()
    assert output == ''
    assert [line.split()[:4] for line in progress.splitlines()] == [
        ['building', 'photo_distortions', f'{level}/5', 'levels'] for level in range(1, 6)]


def test_patches_and_blocks_keep_their_share_of_the_area():
    patches = distortions.find(name='non_eccentricity_patches')
    assert photo_builder.tile_parameters(patches, 192)[0] == (4, 8, 11, 15, 19)
    blocks = distortions.find(name='colour_blocks')
    values, options = photo_builder.tile_parameters(blocks, 192)
    assert values == blocks.levels
    np.testing.assert_allclose(options['side'] ** 2 / 192 ** 2, 32 ** 2 / (512 * 384), rtol=0.05)


@pytest.mark.slow
def test_vsi_ranks_the_levels_of_the_types_that_say_so(tmp_path):
    """Over all 25 types on two tiles a photograph: falling on most tiles just where marked."""
    source = data.load({'name': 'photo_distortions', 'tile': 192, 'tiles_per_photo': 2,
                        'directory': str(tmp_path), 'identities': True, 'unranked': True}, 'all')
    fields = columns(source)
    for row in distortions.DISTORTIONS:
        here = fields['distortion'] == row.number
        scores = np.full((len(PHOTOGRAPHS), 2, 5), np.nan)
        scores[fields['reference'][here], fields['tile'][here], fields['level'][here] - 1] = (
            fields['vsi'][here])
        falling = (np.diff(scores, axis=-1) < 0).all(axis=-1)
        assert (falling.mean() > 0.8) == row.ranked, row.name

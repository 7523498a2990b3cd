"""The pipeline: order, shards, resuming, padding, corrupt images, episodes; against plain loops."""

import json
import os
import subprocess
import sys

import ml_collections
import numpy as np
import pytest
from PIL import Image

from vision_jax.core.errors import InputError
from vision_jax.data import episodes, pipeline, sources, transforms

SIDE = 8


class Photos:
    """Images whose pixels all hold their index; the indices in `corrupt` cannot be decoded."""

    columns = ('quality', 'reference', 'distortion', 'path')

    def __init__(self, count, corrupt=(), groups=2, references=5):
        self._corrupt = set(corrupt)
        self._scalars = {
            'quality': np.arange(count, dtype=np.float32),
            'reference': np.arange(count, dtype=np.int32) // groups % references,
            'distortion': np.arange(count, dtype=np.int32) % groups,
            'path': np.array([f'{i}.png' for i in range(count)]),
        }

    def __len__(self):
        return len(self._scalars['quality'])

    def __getitem__(self, index):
        if index in self._corrupt:
            raise transforms.CorruptImageError(f'corrupt image {index}.png: not an image')
        image = np.full((SIDE, SIDE, 3), index, np.uint8)
        return {'image': image, **{k: v[index] for k, v in self._scalars.items()}}

    def column(self, name):
        sources.check_column(self, name)
        return self._scalars[name]


def indices_of(batch):
    """The source indices of a batch, read from its pixels."""
    return np.rint(batch['image'][..., 0, 0, 0] * 255).astype(int)


def take(iterator, count):
    """The next batches, as a list."""
    return [next(iterator) for _ in range(count)]


def assert_batches_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            if isinstance(a[name], dict):
                assert_batches_equal([a[name]], [b[name]])
            else:
                np.testing.assert_array_equal(a[name], b[name])


def test_epochs_hold_every_example_once_in_a_new_order():
    batches = take(pipeline.train_iterator(Photos(12), {'batch_size': 4}, seed=1), 6)
    order = np.concatenate([indices_of(batch) for batch in batches])
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert list(order[:12]) != list(order[12:])
    assert list(order[:12]) != list(range(12))
    assert batches[0]['image'].dtype == np.float32
    assert set(batches[0]) == {'image', 'quality', 'reference', 'distortion'}
    for batch in batches:
        np.testing.assert_array_equal(batch['quality'], indices_of(batch))


def test_the_seed_fixes_order_crops_and_flips():
    noise = np.random.default_rng(0).integers(0, 256, (9, 20, 16, 3), np.uint8)
    source = sources.ArraySource({'image': noise, 'quality': np.arange(9.0)})
    config = {'batch_size': 4, 'crop': 7, 'flip': True}
    first, again, other = (
        take(pipeline.train_iterator(source, config, seed=seed), 4) for seed in (3, 3, 4))
    assert_batches_equal(first, again)
    assert any(not np.array_equal(a['image'], b['image'])
               for a, b in zip(first, other, strict=True))
    assert first[0]['image'].shape == (4, 7, 7, 3)


@pytest.mark.parametrize('consumed', [0, 1, 5])
def test_a_state_through_json_resumes_exactly(consumed):
    noise = np.random.default_rng(0).integers(0, 256, (10, 20, 16, 3), np.uint8)
    source = sources.ArraySource({'image': noise, 'quality': np.arange(10.0)})
    config = {'batch_size': 4, 'crop': 7, 'flip': True}
    iterator = pipeline.train_iterator(source, config, seed=2)
    take(iterator, consumed)
    state = json.loads(json.dumps(iterator.get_state()))
    rest = take(iterator, 4)
    resumed = pipeline.train_iterator(source, config, seed=2)
    resumed.set_state(state)
    assert_batches_equal(take(resumed, 4), rest)
    iterator.set_state(state)  # also backwards, in place
    assert_batches_equal(take(iterator, 4), rest)


def test_processes_share_each_global_batch():
    config = {'batch_size': 6}
    whole = take(pipeline.train_iterator(Photos(20), config, seed=5), 5)
    parts = [take(pipeline.train_iterator(Photos(20), config, seed=5, process_index=p,
                                          process_count=3), 5) for p in range(3)]
    for number, batch in enumerate(whole):
        joined = np.concatenate([indices_of(part[number]) for part in parts])
        np.testing.assert_array_equal(joined, indices_of(batch))


def test_prefetch_pairs_a_batch_with_the_state_after_it():
    iterator = pipeline.train_iterator(Photos(12), {'batch_size': 4}, seed=1)
    ahead = pipeline.prefetch_to_device(iterator, lambda batch: batch, size=3)
    pairs = take(ahead, 4)
    assert iterator.get_state()['batches'] > 4  # it has read on
    resumed = pipeline.train_iterator(Photos(12), {'batch_size': 4}, seed=1)
    resumed.set_state(pairs[1][1])
    assert_batches_equal(take(resumed, 2), [pairs[2][0], pairs[3][0]])


def test_prefetch_ends_with_the_last_batch():
    batches = pipeline.eval_batches(Photos(10), {'batch_size': 4})
    placed = [indices_of(b).tolist() for b, _ in pipeline.prefetch_to_device(batches, dict, size=5)]
    assert placed == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]


@pytest.mark.parametrize('processes', [1, 2])
def test_evaluation_sees_each_example_once_and_pads_the_last_batch(processes):
    seen, lengths = [], []
    for process in range(processes):
        batches = list(pipeline.eval_batches(
            Photos(9), {'batch_size': 2, 'eval_batch_size': 4}, process_index=process,
            process_count=processes))
        lengths.append(len(batches))
        for batch in batches:
            assert batch['image'].shape == (4 // processes, SIDE, SIDE, 3)
            seen += indices_of(batch)[batch['mask'] == 1].tolist()
            assert not batch['image'][batch['mask'] == 0].any()
    assert sorted(seen) == list(range(9))
    assert lengths == [3] * processes


def test_evaluation_resumes_and_stays_at_its_end():
    batches = pipeline.eval_batches(Photos(5), {'batch_size': 2})
    assert len(batches) == len(list(batches)) == 3
    assert list(batches) == []
    batches.set_state({'batches': 2})
    assert indices_of(next(batches))[0] == 4


def test_a_corrupt_image_stops_the_run_by_path():
    iterator = pipeline.train_iterator(Photos(6, corrupt=[4]), {'batch_size': 6}, seed=0)
    with pytest.raises(transforms.CorruptImageError, match='corrupt image 4.png: not an image'):
        next(iterator)


def test_corrupt_images_are_replaced_counted_and_named():
    config = {'batch_size': 6, 'on_corrupt': 'skip'}
    iterator = pipeline.train_iterator(Photos(12, corrupt=[3, 7]), config, seed=0)
    batches = take(iterator, 4)
    order = np.concatenate([indices_of(batch) for batch in batches])
    assert not {3, 7} & set(order)
    assert set(order[:12]) == set(range(12)) - {3, 7}
    assert iterator.skipped == {3: '3.png', 7: '7.png'}
    again = pipeline.train_iterator(Photos(12, corrupt=[3, 7]), config, seed=0)
    assert_batches_equal(take(again, 4), batches)


def test_evaluation_masks_corrupt_images():
    config = {'batch_size': 4, 'on_corrupt': 'skip'}
    iterator = pipeline.eval_batches(Photos(6, corrupt=[0, 5]), config)
    masks = [batch['mask'].tolist() for batch in iterator]
    assert masks == [[0, 1, 1, 1], [1, 0, 0, 0]]
    assert set(iterator.skipped.values()) == {'0.png', '5.png'}


def test_nothing_readable_and_nothing_at_all():
    config = {'batch_size': 2, 'on_corrupt': 'skip'}
    with pytest.raises(InputError, match='too many images cannot be decoded; .*corrupt image'):
        next(pipeline.train_iterator(Photos(3, corrupt=range(3)), config))
    with pytest.raises(InputError, match='no images found'):
        pipeline.train_iterator(Photos(0), config)


@pytest.mark.parametrize(
    ('config', 'processes', 'message'),
    [
        ({'batch_size': 3}, 2, 'data.batch_size=3 is not a positive multiple of the 2 processes'),
        ({'batch_size': 0}, 1, 'data.batch_size=0'),
        ({'batch_size': 2, 'on_corrupt': 'skp'}, 1, "on_corrupt='skp'; did you mean 'skip'"),
    ],
)
def test_bad_options_are_said(config, processes, message):
    with pytest.raises(InputError, match=message):
        pipeline.train_iterator(Photos(4), config, process_count=processes)


def test_images_of_two_sizes_need_a_crop():
    images = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)]
    source = sources.ArraySource({'image': images, 'quality': np.zeros(2)})
    with pytest.raises(InputError, match='cannot share a batch; set data.crop'):
        next(pipeline.train_iterator(source, {'batch_size': 2}))
    config = {'batch_size': 2, 'resize': 12, 'crop': 6}
    assert next(pipeline.eval_batches(source, config))['image'].shape == (2, 6, 6, 3)


EPISODES = {'batch_size': 2, 'episodes': {'support': 3, 'query': 4, 'group': 'distortion'}}


def test_episodes_have_one_group_and_disjoint_halves():
    batches = take(pipeline.train_iterator(Photos(40, groups=4), EPISODES, seed=0), 12)
    groups = set()
    for batch in batches:
        support, query = indices_of(batch['support']), indices_of(batch['query'])
        assert support.shape == (2, 3)
        assert query.shape == (2, 4)
        for task in range(2):
            assert not set(support[task]) & set(query[task])
            assert len({*support[task] % 4, *query[task] % 4}) == 1
        assert len(set(support[:, 0] % 4)) == 2  # two episodes of a batch: two groups
        groups |= set(support[:, 0] % 4)
    assert groups == {0, 1, 2, 3}


def test_an_episode_is_a_function_of_seed_and_index():
    sampler, again = (episodes.EpisodeSampler(Photos(40), support=3, query=4, seed=7)
                      for _ in range(2))
    other = episodes.EpisodeSampler(Photos(40), support=3, query=4, seed=8)
    for index in (11, 0, 5):
        np.testing.assert_array_equal(np.concatenate(sampler(index)), np.concatenate(again(index)))
    assert any(not np.array_equal(sampler(i)[0], other(i)[0]) for i in range(4))
    assert not np.array_equal(sampler(0)[0], sampler(2)[0])


def test_references_are_disjoint_where_asked():
    source = Photos(40, groups=2, references=5)
    config = {**EPISODES, 'episodes': {**EPISODES['episodes'], 'disjoint_references': True}}
    for batch in take(pipeline.train_iterator(source, config, seed=0), 20):
        for task in range(2):
            assert not (set(batch['support']['reference'][task])
                        & set(batch['query']['reference'][task]))
    plain = take(pipeline.train_iterator(source, EPISODES, seed=0), 20)
    assert any(set(b['support']['reference'][0]) & set(b['query']['reference'][0]) for b in plain)


def test_episodes_resume_and_are_shared_by_processes():
    config = ml_collections.ConfigDict(EPISODES)
    iterator = pipeline.train_iterator(Photos(40), config, seed=4)
    take(iterator, 3)
    state = iterator.get_state()
    rest = take(iterator, 2)
    halves = []
    for process in range(2):
        half = pipeline.train_iterator(Photos(40), EPISODES, seed=4, process_index=process,
                                       process_count=2)
        half.set_state(state)
        halves.append(take(half, 2))
    for number, batch in enumerate(rest):
        joined = np.concatenate([indices_of(half[number]['query']) for half in halves])
        np.testing.assert_array_equal(joined, indices_of(batch['query']))


def test_a_corrupt_image_of_an_episode_is_replaced_within_its_group():
    corrupt = list(range(0, 12))
    config = {**EPISODES, 'on_corrupt': 'skip'}
    iterator = pipeline.train_iterator(Photos(40, corrupt=corrupt), config, seed=0)
    for batch in take(iterator, 10):
        support, query = indices_of(batch['support']), indices_of(batch['query'])
        for task in range(2):
            assert not {*support[task], *query[task]} & set(corrupt)
            assert len({*support[task] % 2, *query[task] % 2}) == 1
            assert not set(support[task]) & set(query[task])
    assert set(iterator.skipped) <= set(corrupt)
    assert len(iterator.skipped) > 5


def test_evaluation_episodes_are_masked_and_not_those_of_training():
    config = {**EPISODES, 'episodes': {**EPISODES['episodes'], 'evaluate': 3}}
    batches = list(pipeline.eval_batches(Photos(40), config, seed=0))
    assert [batch['mask'].tolist() for batch in batches] == [[1, 1], [1, 0]]
    trained = next(pipeline.train_iterator(Photos(40), config, seed=0))
    assert not np.array_equal(indices_of(batches[0]['query']), indices_of(trained['query']))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'support': 30}, 'distortion=0 has 20 images, an episode needs 34'),
        ({'group': 'distorsion'}, "no column 'distorsion'; did you mean 'distortion'"),
        ({'support': 9, 'disjoint_references': True}, 'has 5 references: too few for 9 support'),
    ],
)
def test_impossible_episodes_are_said(options, message):
    config = {**EPISODES, 'episodes': {**EPISODES['episodes'], **options}}
    with pytest.raises(InputError, match=message):
        pipeline.train_iterator(Photos(40), config)


WORKERS = '''
import sys
import numpy as np
from vision_jax.data import pipeline, quality

def main():
    config = {'name': 'folder', 'folder': sys.argv[1], 'batch_size': 4, 'crop': 6, 'flip': True,
              'on_corrupt': sys.argv[2]}
    source = quality.load_folder(config, 'all')
    batches = {}
    for workers in (0, 2):
        iterator = pipeline.train_iterator(source, {**config, 'workers': workers}, seed=3)
        batches[workers] = [next(iterator) for _ in range(5)]
        if workers:  # resume with workers what was read without
            iterator.set_state({'batches': 2})
            batches['resumed'] = [None, None] + [next(iterator) for _ in range(3)]
        iterator.close()
        print(sorted(iterator.skipped.values()))
    for number in range(5):
        for other in (2, 'resumed'):
            if batches[other][number] is not None:
                for name, value in batches[0][number].items():
                    np.testing.assert_array_equal(value, batches[other][number][name])
    print('equal')

if __name__ == '__main__':
    main()
'''


def run_script(script, tmp_path, repository, *arguments):
    """Runs `script` on a folder of ten images of which 7.png is corrupt."""
    for number in range(10):
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(tmp_path / f'{number}.png')
    (tmp_path / '7.png').write_bytes(b'no image')
    rows = [f'{n}.png,{n}' for n in range(10)]
    (tmp_path / 'labels.csv').write_text('\n'.join(['path,quality', *rows]))
    (tmp_path / 'script.py').write_text(script)
    return subprocess.run(
        [sys.executable, str(tmp_path / 'script.py'), str(tmp_path), *arguments],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, 'PYTHONPATH': str(repository)})


def test_worker_processes_change_nothing(tmp_path, repository):
    result = run_script(WORKERS, tmp_path, repository, 'skip')
    assert result.returncode == 0, result.stderr
    assert result.stdout.split('\n')[:3] == ["['7.png']", "['7.png']", 'equal']
    assert '7.png (1 so far)' in result.stderr


WORKER_ERROR = '''
import sys
from vision_jax.core.errors import InputError
from vision_jax.data import pipeline, quality

if __name__ == '__main__':
    config = {'folder': sys.argv[1], 'batch_size': 10, 'workers': 1}
    try:
        next(pipeline.train_iterator(quality.load_folder(config, 'all'), config, seed=3))
    except InputError as error:
        print(type(error).__name__, str(error).splitlines())
'''


def test_a_corrupt_image_in_a_worker_is_the_same_error(tmp_path, repository):
    result = run_script(WORKER_ERROR, tmp_path, repository)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("CorruptImageError ['corrupt image")
    assert result.stdout.strip().endswith("7.png: not an image']")

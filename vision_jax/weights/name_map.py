"""Putting named tensors into Flax variables, by a table of patterns."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vision_jax.core import paths
from vision_jax.core.errors import InputError, nearest

# From torch's layout to Flax's.
LAYOUTS = {
    '': None,
    'conv': (2, 3, 1, 0),  # OIHW to HWIO; a depthwise [c, 1, h, w] becomes [h, w, 1, c]
    'linear': (1, 0),  # [outputs, inputs] to [inputs, outputs]
}


class Rule(NamedTuple):
    """One row of a name map.

    Attributes:
        source: Regular expression for the whole name of a tensor in the file.
        target: Path of the variable, with `\\1` ... for the groups; empty drops the tensor.
        layout: A key of `LAYOUTS`.
    """

    source: str
    target: str
    layout: str = ''


NameMap = Sequence[Rule]
IDENTITY: NameMap = (Rule('(.*)', r'\1'),)  # files of our own, named by path


def apply_name_map(
    tensors: Mapping[str, np.ndarray],
    name_map: NameMap,
    variables: Any,
    *,
    skip: str | Sequence[str] = (),
) -> Any:
    """Variables with the values of a file's tensors.

    Args:
        tensors: Name to array, as the readers of `weights/` return them.
        name_map: Rows tried in turn; the first whose `source` matches a name is taken.
        variables: Tree of arrays or `jax.ShapeDtypeStruct`, as a module's `init` returns it.
        skip: Patterns of paths (`params/head/.*`) that stay as they are in `variables`, and that
            the file need not have.

    Returns:
        A tree like `variables`, of NumPy arrays in the variables' dtypes where it was filled.

    Raises:
        InputError: If any tensor has no row or no variable, any variable no tensor, or any shape
            differs. The message lists all of them.
    """
    names, leaves, structure = paths.flatten(variables)
    patterns = (skip,) if isinstance(skip, str) else skip
    skipped = [any(re.fullmatch(p, name) for p in patterns) for name in names]
    wanted = dict(zip(names, leaves, strict=True))
    found, problems = {}, []
    for name, tensor in tensors.items():
        target, array = _place(name, tensor, name_map)
        if target is None:
            problems.append(f'{name} has no row in the name map')
        elif not target or any(re.fullmatch(p, target) for p in patterns):
            continue
        elif target not in wanted:
            problems.append(f'{name} has no variable {target}')
        elif target in found:
            problems.append(f'{name} is a second tensor for {target}')
        elif array.shape != tuple(wanted[target].shape):
            problems.append(f'{name} has shape {array.shape}, {target} has {wanted[target].shape}')
        else:
            found[target] = array.astype(wanted[target].dtype)
    missing = [n for n, left in zip(names, skipped, strict=True) if not left and n not in found]
    problems += [
        f'{name} has no tensor' for name in missing if not any(f'{name} ' in p for p in problems)
    ]
    if problems:
        raise InputError(f'{len(problems)} tensors do not fit: {"; ".join(problems)}')
    return jax.tree.unflatten(structure, [found.get(n, wanted[n]) for n in names])


def _place(name: str, tensor: np.ndarray, name_map: NameMap) -> tuple[str | None, np.ndarray]:
    """The variable that a tensor goes to, and its value there."""
    for rule in name_map:
        match = re.fullmatch(rule.source, name)
        if match:
            if rule.layout not in LAYOUTS:
                raise InputError(f"no layout '{rule.layout}'{nearest(rule.layout, LAYOUTS)}")
            order = LAYOUTS[rule.layout]
            fits = order is not None and tensor.ndim == len(order)
            return match.expand(rule.target), tensor.transpose(order) if fits else tensor
    return None, tensor

"""Parameters by path: `trunk/conv0/kernel` names a leaf, regular expressions select leaves."""

import re
from collections.abc import Sequence
from typing import Any

import jax

from vision_jax.core.errors import InputError, nearest


def flatten(tree: Any) -> tuple[list[str], list[Any], Any]:
    """The leaves of a tree with their paths.

    Args:
        tree: Any pytree.

    Returns:
        Paths joined by '/', leaves, and the structure for `jax.tree.unflatten`.
    """
    keyed, structure = jax.tree_util.tree_flatten_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator='/') for path, _ in keyed]
    return names, [leaf for _, leaf in keyed], structure


def select(tree: Any, patterns: str | Sequence[str]) -> Any:
    """Which leaves are matched by any of some patterns.

    Args:
        tree: Any pytree.
        patterns: A regular expression or several, each matched against the whole path of a leaf
            (`head/.*`, `.*/bias`).

    Returns:
        A tree of the same structure with booleans.

    Raises:
        InputError: If a pattern is no regular expression or matches no leaf.
    """
    names, _, structure = flatten(tree)
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    chosen = [False] * len(names)
    for pattern in patterns:
        try:
            matches = [re.fullmatch(pattern, name) is not None for name in names]
        except re.error as error:
            raise InputError(f"parameter pattern '{pattern}': {error}") from None
        if not any(matches):
            tops = sorted({name.split('/')[0] + '/.*' for name in names})
            raise InputError(
                f"parameter pattern '{pattern}' matches no path such as '{names[0]}'"
                f'{nearest(pattern, tops)}'
            )
        chosen = [a or b for a, b in zip(chosen, matches, strict=True)]
    return jax.tree.unflatten(structure, chosen)


def split(params: Any, freeze: Sequence[str]) -> tuple[Any, Any]:
    """Splits parameters into trainable and frozen ones; `join` puts them together again.

    Both have the structure of `params` with `None` in the other's places. JAX takes `None` for an
    empty subtree, so gradients, norms and optimizer states of the first part know nothing of the
    frozen leaves.

    Raises:
        InputError: If a pattern matches nothing, or all parameters are frozen.
    """
    frozen = select(params, freeze)
    if all(jax.tree.leaves(frozen)):
        raise InputError(f'freeze={tuple(freeze)} leaves no parameter to train')
    return (
        jax.tree.map(lambda leaf, fixed: None if fixed else leaf, params, frozen),
        jax.tree.map(lambda leaf, fixed: leaf if fixed else None, params, frozen),
    )


def join(first: Any, second: Any) -> Any:
    """The leaves of `first`, and those of `second` where `first` has `None`."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, first, second, is_leaf=lambda leaf: leaf is None
    )

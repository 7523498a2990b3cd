"""What the library has, as one literal table: a name, where it lives, what is known of it.

Adding a method is adding its file and its row in one of the files here; the contract tests, the
listing, `docs/metrics.md` and the command line follow from the row. Nothing is imported before
`get` asks for it.
"""

import importlib
from typing import Any

from vision_jax.catalog.features import FEATURES
from vision_jax.catalog.information import INFORMATION
from vision_jax.catalog.networks import NETWORKS
from vision_jax.catalog.perception import PERCEPTION
from vision_jax.catalog.reduced_reference import REDUCED_REFERENCE
from vision_jax.catalog.rows import Method, Metric, Model
from vision_jax.catalog.structure import STRUCTURE
from vision_jax.catalog.training import TRAINING
from vision_jax.core.errors import InputError, nearest

CATALOG: dict[str, Metric | Model | Method] = {
    **STRUCTURE, **FEATURES, **INFORMATION, **PERCEPTION, **REDUCED_REFERENCE, **NETWORKS,
    **TRAINING,
}


def entry(name: str) -> Metric | Model | Method:
    """The row of `name`.

    Args:
        name: Of a method.

    Raises:
        InputError: If there is no such name; the message gives the nearest one.
    """
    if name not in CATALOG:
        raise InputError(f"no method '{name}' in the catalogue{nearest(name, CATALOG)}")
    return CATALOG[name]


def get(name: str) -> Any:
    """The function of `name`, imported now.

    Args:
        name: Of a method.

    Raises:
        InputError: If there is no such name.
    """
    return resolve(entry(name).path)


def names(*, domain: str | None = None, kind: str | None = None) -> list[str]:
    """Names in the table's order, optionally of one domain and one kind only.

    Args:
        domain: One of the domains; none for all.
        kind: A kind, as `full_reference`; none for all.
    """
    return [
        name
        for name, row in CATALOG.items()
        if domain in (None, row.domain) and kind in (None, row.kind)
    ]


def resolve(path: str) -> Any:
    """Imports `module:attribute` and returns the attribute.

    Args:
        path: `module:attribute`.
    """
    module, attribute = path.split(':')
    return getattr(importlib.import_module(module), attribute)

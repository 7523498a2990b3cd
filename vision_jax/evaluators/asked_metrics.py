"""Metrics as a person asks for them, `ssim:downsample=auto:colour=bt601`, checked before any work.

An option is a keyword of the metric's function. Its text is read as the type of the default.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vision_jax import catalog
from vision_jax.core.errors import InputError, nearest

KINDS = ('full_reference', 'reduced_reference')
# Set by the command itself: the pictures are in [0, 1], maps are asked for as a whole.
NOT_ASKED = ('data_range', 'return_map')
SIDE = 256  # of the pictures that options are tried on, in shape only
NAMED_TRUTHS = {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False}


class Asked(NamedTuple):
    """A metric with options.

    Attributes:
        label: As it was asked for.
        row: Its row in the catalogue.
        function: `(reference, distorted) -> score`, with the options set.
    """

    label: str
    row: catalog.Metric
    function: Callable[..., Any]


def pair_metrics() -> list[str]:
    """Names in the catalogue of the metrics that compare two images."""
    return [name for kind in KINDS for name in catalog.names(kind=kind)]


def parse(text: str) -> list[Asked]:
    """Reads metrics joined by commas.

    Args:
        text: Each a name in the catalogue, with options as `name:key=value:key=value`.

    Raises:
        InputError: On an unknown name, option or value, or an extra that is not installed.
    """
    labels = list(dict.fromkeys(part.strip() for part in text.split(',') if part.strip()))
    if not labels:
        raise InputError('no metrics; name them joined by commas, as ssim,vsi')
    return [_parse_one(label) for label in labels]


def _parse_one(label: str) -> Asked:
    name, *options = label.split(':')
    known = pair_metrics()
    if name not in known:
        raise InputError(f"no metric '{name}'{nearest(name, known)}")
    row, function = catalog.entry(name), catalog.get(name)
    values = _read_options(name, function, options)
    asked = Asked(label, row, lambda *pair, **more: function(*pair, **values, **more))
    if values or row.extra:
        _try(asked)
    return asked


def _read_options(name: str, function, options: Sequence[str]) -> dict[str, Any]:
    parameters = {key: parameter.default
                  for key, parameter in inspect.signature(function).parameters.items()
                  if parameter.kind == parameter.KEYWORD_ONLY and key not in NOT_ASKED}
    values = {}
    for option in options:
        key, equals, text = option.partition('=')
        if key not in parameters:
            hint = nearest(key, parameters) if parameters else '; it has none'
            raise InputError(f"{name}: no option '{key}'{hint}")
        if not equals:
            raise InputError(f'{name}: {key} without a value; write {name}:{key}=...')
        values[key] = _read_value(f'{name}:{key}', text, parameters[key])
    return values


def _read_value(what: str, text: str, default) -> Any:
    """A value of the type of the default; of a number or a word where that is None."""
    if default is None and text.lower() == 'none':
        return None
    if isinstance(default, bool):
        if text.lower() not in NAMED_TRUTHS:
            raise InputError(f"{what}='{text}': expected true or false")
        return NAMED_TRUTHS[text.lower()]
    kinds = {int: (int, float), float: (float,), str: (str,), type(None): (int, float, str)}
    if type(default) not in kinds:
        raise InputError(f'{what}: cannot be set in a command, only in Python')
    for kind in kinds[type(default)]:
        try:
            return kind(text)
        except ValueError:
            continue
    raise InputError(f"{what}='{text}': expected a number")


def _try(asked: Asked) -> None:
    """Traces the metric on shapes alone, so that a wrong option is answered at once."""
    side = max(SIDE, asked.row.min_side)
    shape = jax.ShapeDtypeStruct((1, side, side, asked.row.channels[-1]), jnp.float32)
    try:
        jax.eval_shape(asked.function, shape, shape)
    except InputError as error:
        raise InputError(f'{asked.label}: {error}') from None
    except (TypeError, ValueError) as error:
        first = (str(error).splitlines() or ['wrong option'])[0]
        raise InputError(f'{asked.label}: the options do not fit ({first})') from None

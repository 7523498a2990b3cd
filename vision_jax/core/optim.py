"""Optimizers and learning-rate schedules, by their names in optax."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import optax

from vision_jax.core import paths
from vision_jax.core.errors import InputError, nearest

OPTIMIZERS = (
    'adabelief', 'adagrad', 'adam', 'adamw', 'amsgrad', 'lamb', 'lion', 'nadam', 'nadamw', 'radam',
    'rmsprop', 'sgd',
)
# The argument of each schedule that `learning_rate` fills.
SCHEDULES = {
    'constant_schedule': 'value',
    'cosine_decay_schedule': 'init_value',
    'cosine_onecycle_schedule': 'peak_value',
    'exponential_decay': 'init_value',
    'linear_onecycle_schedule': 'peak_value',
    'linear_schedule': 'init_value',
    'piecewise_constant_schedule': 'init_value',
    'polynomial_schedule': 'init_value',
    'warmup_constant_schedule': 'peak_value',
    'warmup_cosine_decay_schedule': 'peak_value',
    'warmup_exponential_decay_schedule': 'peak_value',
}
LENGTHS = ('decay_steps', 'transition_steps')
# `freeze` is for the train step, which takes frozen parameters away before it differentiates.
OWN_KEYS = (
    'name', 'learning_rate', 'schedule', 'clip_norm', 'weight_decay', 'lr_multipliers', 'freeze',
)


def make_optimizer(
    config: Mapping[str, Any], *, steps: int | None = None
) -> optax.GradientTransformation:
    """The optimizer that a config describes.

    update = multiplier * optimizer(clip(gradient) + decay)

    Args:
        config: `name` is one of `OPTIMIZERS`, `learning_rate` the highest rate and `schedule` its
            course (`make_schedule`). Optional: `clip_norm`, the greatest global norm of the
            gradient, 0 for no clipping; `weight_decay`, for leaves of two or more axes (so neither
            biases nor norms); `lr_multipliers`, pairs of a path pattern and a factor. Any other key
            goes to optax (`momentum`, `b1`, ...).
        steps: Steps of the run, for schedules that do not say their length.

    Returns:
        The transformation, for the trainable parameters.

    Raises:
        InputError: On an unknown name or option. Its `init` raises it on a pattern that matches no
            trainable parameter.

    Notes:
        `weight_decay` is decoupled where the optimizer has it (`adamw`, `nadamw`, `lamb`, `lion`),
        and else added to the gradient after clipping, as in torch's `SGD` and `Adam`.
    """
    name = config.get('name', '')
    if name not in OPTIMIZERS:
        raise InputError(f"no optimizer '{name}'{nearest(name, OPTIMIZERS)}")
    function = getattr(optax, name)
    options = {key: value for key, value in config.items() if key not in OWN_KEYS}
    allowed = inspect.signature(function).parameters
    decay, clip = config.get('weight_decay', 0.0), config.get('clip_norm', 0.0)
    chain = [optax.clip_by_global_norm(clip)] if clip else []
    if 'weight_decay' in allowed:
        options |= {'weight_decay': decay, 'mask': _is_kernel}
    elif decay:
        chain.append(optax.add_decayed_weights(decay, mask=_is_kernel))
    options['learning_rate'] = make_schedule(config, steps=steps)
    _check_options(f'optimizer {name}', options, allowed)
    multipliers = tuple(config.get('lr_multipliers', ()))
    chain.append(function(**options))
    return optax.chain(*chain, *([scale_by_path(multipliers)] if multipliers else []))


def make_schedule(
    config: Mapping[str, Any], *, steps: int | None = None
) -> Callable[[Any], Any]:
    """The learning rate as a function of the step.

    Args:
        config: `learning_rate` and, optionally, `schedule` with the `name` of one of `SCHEDULES`
            and that function's arguments; without it the rate is constant. A warm-up starts from 0
            if `init_value` is not given, and `boundaries_and_scales` may be pairs.
        steps: Fills the schedule's `decay_steps` or `transition_steps` where the config does not.

    Raises:
        InputError: On an unknown schedule, or an unknown or missing argument.
    """
    options = dict(config.get('schedule', {}))
    name = options.pop('name', 'constant_schedule')
    if name not in SCHEDULES:
        raise InputError(f"no schedule '{name}'{nearest(name, SCHEDULES)}")
    function = getattr(optax, name)
    allowed = inspect.signature(function).parameters
    if 'boundaries_and_scales' in options:
        pairs = options['boundaries_and_scales']
        pairs = pairs.items() if isinstance(pairs, Mapping) else pairs
        options['boundaries_and_scales'] = {int(at): float(scale) for at, scale in pairs}
    defaults = {key: steps for key in LENGTHS if key in allowed and steps is not None}
    if name.startswith('warmup'):
        defaults['init_value'] = 0.0
    options = {**defaults, **options, SCHEDULES[name]: config['learning_rate']}
    _check_options(f'schedule {name}', options, allowed)
    return function(**options)


def scale_by_path(
    multipliers: Sequence[tuple[str, float]],
) -> optax.GradientTransformationExtraArgs:
    """Multiplies updates by a factor that depends on the parameter's path.

    Args:
        multipliers: Pairs of a pattern (`paths.select`) and a factor; the last match counts.

    Returns:
        A transformation without state; put after the optimizer it scales the learning rate.
    """
    def init(params):
        for pattern, _ in multipliers:
            paths.select(params, (pattern,))
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del params, extra
        names, leaves, structure = paths.flatten(updates)
        leaves = [_factor(name, multipliers) * u for name, u in zip(names, leaves, strict=True)]
        return jax.tree.unflatten(structure, leaves), state

    return optax.GradientTransformationExtraArgs(init, update)


def _factor(name: str, multipliers: Sequence[tuple[str, float]]) -> float:
    """The factor of the last pattern that matches a path, or 1."""
    return ([1.0] + [f for pattern, f in multipliers if re.fullmatch(pattern, name)])[-1]


def _is_kernel(params: Any) -> Any:
    """Which leaves are decayed: those of two or more axes."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _check_options(owner: str, options: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Raises `InputError` on an option that a function does not take, or one that it lacks."""
    for option in options:
        if option not in allowed:
            raise InputError(f"{owner} takes no '{option}'{nearest(option, allowed)}")
    missing = [
        name for name, parameter in allowed.items()
        if parameter.default is parameter.empty and name not in options
    ]
    if missing:
        raise InputError(f'{owner} needs {", ".join(missing)}')

"""What a run carries from step to step, and how it begins."""

from collections.abc import Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from vision_jax.core import paths, rng
from vision_jax.core.errors import InputError
from vision_jax.core.task import Batch, ModelState, Params, Task


@flax.struct.dataclass
class TrainState:
    """Everything that a checkpoint must hold of a run, but for the data's position.

    Attributes:
        step: Steps done, int32 scalar.
        params: All parameters, frozen ones included.
        model_state: What the model keeps besides (batch statistics).
        opt_state: The optimizer's state, of trainable parameters only.
        ema: Moving average of the trainable parameters (`None` at frozen leaves), or `None`.
        key: The run's random key as key data, uint32; constant.
    """

    step: jax.Array
    params: Params
    model_state: ModelState
    opt_state: optax.OptState
    ema: Params | None
    key: jax.Array

    def eval_params(self) -> Params:
        """The parameters to evaluate and publish: the moving average if there is one."""
        return self.params if self.ema is None else paths.join(self.ema, self.params)


def create(
    task: Task,
    optimizer: optax.GradientTransformation,
    batch: Batch,
    key: jax.Array,
    *,
    ema: bool = False,
    freeze: Sequence[str] = (),
    variables: dict[str, Any] | None = None,
) -> TrainState:
    """The state before the first step.

    Args:
        task: The problem.
        optimizer: As `optim.make_optimizer` returns it.
        batch: One batch in the form that the step sees; only its shapes matter.
        key: The run's key (`rng.run_key`): parameters are drawn from it, and the steps' keys.
        ema: Whether to keep a moving average of the parameters.
        freeze: Patterns of parameters that are not trained (`paths.select`).
        variables: Initial weights `{'params': ..., 'batch_stats': ...}`, any part of the model's;
            what they do not name keeps its random start.

    Returns:
        The state, on the default device.

    Raises:
        InputError: If a pattern of `freeze` matches nothing, or `variables` do not fit.
    """
    params, model_state = jax.jit(task.init)(rng.as_key(key), batch)
    if variables:
        params, model_state = merge_variables(params, model_state, variables)
    trainable, _ = paths.split(params, freeze)
    copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        opt_state=jax.jit(optimizer.init)(trainable),
        ema=copy(trainable) if ema else None,
        key=jax.random.key_data(rng.as_key(key)),
    )


def merge_variables(
    params: Params, model_state: ModelState, variables: dict[str, Any]
) -> tuple[Params, ModelState]:
    """Puts loaded weights into freshly drawn ones.

    Args:
        params: Parameters, nested dicts.
        model_state: The model's other collections, nested dicts.
        variables: `{'params': ..., collection: ...}`, each a part of the corresponding tree.

    Returns:
        The two trees with the loaded leaves in place, in the dtype of the leaf that they replace.

    Raises:
        InputError: If a loaded tensor has no place or another shape; all of them are listed.
    """
    whole = {'params': params, **model_state}
    names, leaves, tree = paths.flatten(whole)
    new_names, new_leaves, _ = paths.flatten(variables)
    loaded = dict(zip(new_names, new_leaves, strict=True))
    shapes = {name: jnp.shape(leaf) for name, leaf in zip(names, leaves, strict=True)}
    wrong = [
        f'{name} {jnp.shape(leaf)}'
        + (f' where {shapes[name]} was expected' if name in shapes else ' has no place')
        for name, leaf in loaded.items()
        if shapes.get(name) != jnp.shape(leaf)
    ]
    if wrong:
        raise InputError(f'initial weights do not fit the model: {"; ".join(wrong)}')
    merged = jax.tree.unflatten(tree, [
        jnp.asarray(loaded.get(name, leaf), jnp.result_type(leaf))
        for name, leaf in zip(names, leaves, strict=True)
    ])
    return merged.pop('params'), merged

"""The inner loop: a few optimizer steps on one task's examples, which can be differentiated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import optax

from vision_jax.core import paths
from vision_jax.core.errors import InputError, nearest
from vision_jax.core.task import Batch, ModelState, Params, Sums, Task

# A number, (pattern, rate) pairs of which the first match counts, or a tree over adapted leaves.
Rates = float | Sequence[tuple[str, float]] | Any

# sqrt(v) has no derivative at v = 0, where a dead unit's second moment lies. Adam's own epsilon,
# 1e-8, is outside the root; its square inside keeps every derivative finite.
ADAM_EPS_ROOT = 1e-16
OPTIMIZERS = {
    'sgd': optax.identity,
    'adam': lambda: optax.scale_by_adam(eps_root=ADAM_EPS_ROOT),
}
UNROLLED_STEPS = 5  # more than these are scanned: compile time grows with each unrolled step


class InnerLoop(NamedTuple):
    """How a task is adapted to.

    Attributes:
        inner_lr: Learning rate(s), see `Rates`.
        inner_steps: Updates, each on all support examples; at least 1.
        inner_optimizer: A key of `OPTIMIZERS`; its state starts afresh for each task.
        order: 2 lets the outer gradient see how inner gradients depend on the parameters,
            1 takes the inner gradients for constants.
        adapt: Pattern(s) of the parameter paths that are updated; the others stay.
        remat: Whether inner steps are recomputed in the backward pass, which then holds the
            activations of one step instead of all.
        scan: Whether steps run in `lax.scan`. By default those above `UNROLLED_STEPS`; on CPU
            XLA loses its fast convolution inside a scan.
    """

    inner_lr: Rates
    inner_steps: int
    inner_optimizer: str = 'sgd'
    order: int = 2
    adapt: str | Sequence[str] = '.*'
    remat: bool = False
    scan: bool | None = None


class InnerState(NamedTuple):
    """What an inner step updates; adapted leaves have `None` where a leaf is not adapted."""

    adapted: Params
    opt_state: Any
    model_state: ModelState


def adapt(
    task: Task, params: Params, model_state: ModelState, support: Batch, key, **options
) -> tuple[Params, ModelState]:
    """Adapts parameters to one task: theta <- theta - rate * u(grad L_support(theta)), repeated.

    The same function serves K-shot fine-tuning and, inside `maml`, meta-training.

    Args:
        task: The problem; its loss is called with `train=True`.
        params: Parameters to start from.
        model_state: Its other variables.
        support: The labelled examples, leaves `[k, ...]`.
        key: Random key for the task's own randomness (dropout).
        **options: The fields of `InnerLoop`; `inner_lr` and `inner_steps` have no default.

    Returns:
        The adapted parameters and model state.

    Raises:
        InputError: On an option outside its range, or a pattern that matches no parameter.

    Source: Finn, Abbeel, Levine: Model-agnostic meta-learning, ICML 2017, eq. 1.
    """
    loop = checked(InnerLoop(**options))
    adapted, frozen = split(params, loop.adapt)
    state, _ = run(task, loop, start(loop, adapted, model_state), frozen, support, key)
    return paths.join(state.adapted, frozen), state.model_state


def checked(loop: InnerLoop) -> InnerLoop:
    """The same options; raises `InputError` where one is out of range."""
    if loop.inner_steps < 1:
        raise InputError(f'inner_steps={loop.inner_steps}: expected at least 1')
    if loop.order not in (1, 2):
        raise InputError(f'order={loop.order}: expected 1 or 2')
    if loop.inner_optimizer not in OPTIMIZERS:
        raise InputError(f"no inner optimizer '{loop.inner_optimizer}'"
                         f'{nearest(loop.inner_optimizer, OPTIMIZERS)}')
    return loop


def split(params: Params, patterns: str | Sequence[str]) -> tuple[Params, Params]:
    """Parameters to adapt and the others, with `None` in each other's places (`paths.join`)."""
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    chosen = paths.select(params, patterns)
    return (
        jax.tree.map(lambda leaf, yes: leaf if yes else None, params, chosen),
        jax.tree.map(lambda leaf, yes: None if yes else leaf, params, chosen),
    )


def start(loop: InnerLoop, adapted: Params, model_state: ModelState) -> InnerState:
    """The state before the first step."""
    return InnerState(adapted, OPTIMIZERS[loop.inner_optimizer]().init(adapted), model_state)


def run(
    task: Task, loop: InnerLoop, state: InnerState, frozen: Params, batch: Batch, key
) -> tuple[InnerState, tuple[jax.Array, Sums]]:
    """All steps of the loop on one task's examples.

    Returns:
        The state after them, and the loss and sums on `batch` before the first.
    """
    step = make_step(task, loop, frozen, batch)
    keys = jax.random.split(as_key(key), loop.inner_steps)
    scan = loop.inner_steps > UNROLLED_STEPS if loop.scan is None else loop.scan
    if scan:
        state, trace = jax.lax.scan(step, state, keys)
        return state, jax.tree.map(lambda x: x[0], trace)
    first = None
    for index in range(loop.inner_steps):
        state, before = step(state, keys[index])
        first = before if first is None else first
    return state, first


def make_step(task: Task, loop: InnerLoop, frozen: Params, batch: Batch):
    """`step(state, key) -> (state, (loss, sums))`, one update on `batch`."""
    optimizer = OPTIMIZERS[loop.inner_optimizer]()

    def loss(adapted, frozen, model_state, key):
        return task.loss(paths.join(adapted, frozen), model_state, batch, key, True)

    def step(state: InnerState, key):
        point = (state.adapted, frozen, state.model_state)
        if loop.order == 1:  # stopped here, before differentiation, nothing of order 2 is traced
            point = jax.lax.stop_gradient(point)
        (value, (model_state, sums)), gradients = jax.value_and_grad(loss, has_aux=True)(
            *point, key
        )
        updates, opt_state = optimizer.update(gradients, state.opt_state)
        adapted = jax.tree.map(
            lambda p, rate, u: p - rate * u, state.adapted, rates(loop, state.adapted), updates
        )
        return InnerState(adapted, opt_state, model_state), (value, sums)

    return jax.checkpoint(step) if loop.remat else step


def rates(loop: InnerLoop, adapted: Params) -> Params:
    """One rate for each adapted leaf, in a tree of their structure.

    Raises:
        InputError: If pairs of patterns and rates leave a leaf without a rate.
    """
    names, leaves, structure = paths.flatten(adapted)
    if not isinstance(loop.inner_lr, (dict, tuple, list)):
        return jax.tree.unflatten(structure, [loop.inner_lr] * len(leaves))
    if isinstance(loop.inner_lr, dict):
        return jax.tree.unflatten(structure, jax.tree.leaves(loop.inner_lr))
    found: dict[str, float] = {}
    for pattern, rate in loop.inner_lr:
        chosen = paths.flatten(paths.select(adapted, (pattern,)))[1]
        for name, yes in zip(names, chosen, strict=True):
            if yes:
                found.setdefault(name, rate)
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"inner_lr: no pattern matches '{missing[0]}'; add ('.*', rate) last")
    return jax.tree.unflatten(structure, [found[name] for name in names])


def as_key(key):
    """The key, or a fixed one where evaluation passes none."""
    return jax.random.key(0) if key is None else key

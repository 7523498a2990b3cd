"""The contract between a problem and the engine: three pure functions, no class to inherit."""

from collections.abc import Callable
from typing import Any, NamedTuple

Params = Any
ModelState = Any
Batch = dict[str, Any]
Sums = dict[str, tuple[Any, Any]]


class Task(NamedTuple):
    """A trainable problem as pure functions.

    A batch is a dict of arrays with a leading example axis. Where it holds `mask` (float, `[b]`),
    examples with mask 0 are padding and count neither in the loss nor in the sums.

    Attributes:
        init: `(key, batch) -> (params, model_state)`.
        loss: `(params, model_state, batch, key, train) -> (scalar, (model_state, sums))`, where
            `sums` maps a metric's name to `(sum, count)` over the real examples of this batch, so
            that totals over batches and devices are exact.
        predict: `(params, model_state, batch) -> {name: array}`, one row an example.
    """

    init: Callable[[Any, Batch], tuple[Params, ModelState]]
    loss: Callable[..., tuple[Any, tuple[ModelState, Sums]]]
    predict: Callable[[Params, ModelState, Batch], dict[str, Any]]

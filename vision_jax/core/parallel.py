"""Steps over devices and processes; the only file that knows `jax.pmap`.

    layout = parallel.make_layout('pmap')
    train_step = parallel.train_step(partial(build_train_step, task, optimizer), layout)
    state = parallel.replicate(state, layout)
    state, sums = train_step(state, parallel.place_batch(batch, layout), key)

Two backends stand behind the same functions. `pmap` runs the step on each device's share of the
batch and exchanges gradients and sums. `jit` compiles the step for the whole batch, which is
sharded over a mesh, and XLA inserts the exchange. They agree but for batch statistics: under `pmap`
they are each device's own, under `jit` those of the whole batch.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vision_jax.core.errors import InputError, nearest

BACKENDS = ('pmap', 'jit')
AXIS = 'batch'


@dataclasses.dataclass(frozen=True)
class Layout:
    """A backend and the devices of all processes that it runs on.

    Attributes:
        backend: One of `BACKENDS`.
        mesh: All devices along one axis, `batch`.
    """

    backend: str
    mesh: Mesh

    @property
    def num_devices(self) -> int:
        """Devices of all processes."""
        return self.mesh.size

    @property
    def local_mesh(self) -> Mesh:
        """The mesh that this process's arrays live on: with pmap its own devices, else all."""
        return self.mesh.local_mesh if self.backend == 'pmap' else self.mesh

    def sharding(self, spec: P) -> NamedSharding:
        """A sharding of this process's arrays."""
        return NamedSharding(self.local_mesh, spec)


def make_layout(backend: str, *, devices: Sequence[jax.Device] | None = None) -> Layout:
    """The layout of a run.

    Args:
        backend: One of `BACKENDS`.
        devices: Devices to use, the same list in all processes; by default all there are.

    Raises:
        InputError: On an unknown backend.
    """
    if backend not in BACKENDS:
        raise InputError(f"no parallel backend '{backend}'{nearest(backend, BACKENDS)}")
    return Layout(backend, Mesh(np.asarray(devices or jax.devices()), (AXIS,)))


def train_step(build: Callable[..., Callable], layout: Layout) -> Callable:
    """Compiles a train step for a layout.

    Args:
        build: `build(axis_name=...) -> step(state, batch, key) -> (state, metrics)`.
        layout: Where it runs.

    Returns:
        The step over all devices. It takes the state and the key from `replicate` and the batch
        from `place_batch`, and consumes the state's buffers.
    """
    if layout.backend == 'pmap':
        return jax.pmap(
            build(axis_name=AXIS), axis_name=AXIS, in_axes=(None, 0, None), out_axes=(None, None),
            donate_argnums=(0,), devices=layout.mesh.devices.flat,
        )
    everywhere, rows = layout.sharding(P()), layout.sharding(P(AXIS))
    return jax.jit(
        build(axis_name=None), in_shardings=(everywhere, rows, everywhere),
        out_shardings=everywhere, donate_argnums=(0,),
    )


def eval_step(build: Callable[..., Callable], layout: Layout) -> Callable:
    """Compiles an evaluation step for a layout.

    Args:
        build: `build(axis_name=...) -> step(state, batch) -> (sums, outputs)`.
        layout: Where it runs.

    Returns:
        The step over all devices; the sums are those of the whole batch, and `gather` reads the
        outputs.
    """
    if layout.backend == 'pmap':
        return jax.pmap(
            build(axis_name=AXIS), axis_name=AXIS, in_axes=(None, 0), out_axes=(None, 0),
            devices=layout.mesh.devices.flat,
        )
    everywhere, rows = layout.sharding(P()), layout.sharding(P(AXIS))
    return jax.jit(
        build(axis_name=None), in_shardings=(everywhere, rows), out_shardings=(everywhere, rows)
    )


def replicate(tree: Any, layout: Layout) -> Any:
    """Copies a tree, the same in all processes, to every device.

    Args:
        tree: Arrays of the host or of one device; they stay valid when the copy is consumed.
        layout: Where to put it.
    """
    sharding = layout.sharding(P())
    # device_put shares memory where it can, even when told not to, and steps overwrite the state.
    return jax.tree.map(lambda x: _put(np.array(x, copy=True), sharding), tree)


def place_batch(batch: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Spreads a batch over the devices.

    Args:
        batch: This process's rows, leaves [b, ...] in host memory; the whole batch is those of all
            processes, in their order. On CPU the result may share their memory: do not write to it.
        layout: Where to put it.

    Returns:
        The batch in the form that the compiled steps take.

    Raises:
        InputError: If the rows do not divide over this process's devices, or a leaf is no array of
            numbers with a leading axis of that length.
    """
    devices = layout.mesh.local_mesh.size
    rows = _check_rows(batch, devices)
    sharding = layout.sharding(P(AXIS))

    def place(x):
        x = np.asarray(x)
        if layout.backend == 'pmap':
            x = x.reshape(devices, rows // devices, *x.shape[1:])  # the step sees [b / n, ...]
        return _put(x, sharding)

    return jax.tree.map(place, batch)


def gather(tree: Any, layout: Layout) -> Any:
    """Rows of all processes in host memory, in one order for outputs and host arrays.

    Args:
        tree: Outputs of an evaluation step, or host arrays [b, ...] of this process's rows, such
            as labels. Each process must have the same number of rows.
        layout: Where the outputs are.

    Returns:
        NumPy arrays [rows of all processes, ...].
    """
    rows = jax.tree.map(lambda x: _host_rows(x, layout), tree)
    return multihost_utils.process_allgather(rows, tiled=True) if jax.process_count() > 1 else rows


def as_global(tree: Any, layout: Layout) -> Any:
    """A replicated tree as arrays over the devices of all processes, as Orbax saves them.

    With several processes `pmap` returns arrays of this process's devices; the rest is global.
    """
    if jax.process_count() == 1 or layout.backend == 'jit':
        return tree
    sharding = NamedSharding(layout.mesh, P())
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x), x.shape), tree
    )


def _put(x: Any, sharding: NamedSharding) -> jax.Array:
    """One array with a sharding, from the part of it that this process has."""
    if sharding.is_fully_addressable:
        return jax.device_put(x, sharding)
    shape = np.shape(x) if sharding.is_fully_replicated else None
    return jax.make_array_from_process_local_data(sharding, np.asarray(x), shape)


def _host_rows(x: Any, layout: Layout) -> np.ndarray:
    """This process's rows [b, ...] of an output, or of an array that is already on the host."""
    if not isinstance(x, jax.Array):
        return np.asarray(x)
    if layout.backend == 'pmap':
        return np.asarray(x).reshape(-1, *x.shape[2:])
    return np.asarray(multihost_utils.global_array_to_host_local_array(x, layout.mesh, P(AXIS)))


def _check_rows(batch: dict[str, Any], devices: int) -> int:
    """The rows of a batch that divides over the devices."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(batch)
    rows = None
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator='/')
        leaf = np.asarray(leaf)
        rows = leaf.shape[0] if rows is None and leaf.ndim else rows
        if leaf.dtype.kind not in 'biuf' or leaf.shape[:1] != (rows,):
            raise InputError(
                f"batch field '{name}': expected numbers with {rows} rows, "
                f'got {leaf.dtype} of shape {leaf.shape}'
            )
    if rows is None or rows % devices:
        raise InputError(
            f'a batch of {rows} examples does not divide over {devices} devices; '
            f'choose a multiple of {devices}'
        )
    return rows

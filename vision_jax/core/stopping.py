"""Asked to stop (SIGTERM, preemption): finish the step, save, and leave."""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class StopSignal:
    """Notes SIGTERM while it is entered; all processes agree on the step to stop at.

    With several processes JAX's coordination service takes the signal, of any of them, and tells
    the others.
    """

    def __init__(self):
        self._asked = False
        self._before = None

    def __enter__(self) -> 'StopSignal':
        # Python sets handlers in the main thread only; elsewhere the caller's own one counts.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def asked(self, step: int) -> bool:
        """Whether to stop after this step; to be called by all processes at each step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._asked

    def _ask(self, number, frame) -> None:
        del number, frame
        self._asked = True

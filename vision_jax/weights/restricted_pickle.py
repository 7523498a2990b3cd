"""An unpickler that knows a few names and refuses every other; the only import of `pickle` here.

A pickle can call anything. What a reader admits is a table from (module, name) to what stands for
it; nothing is ever imported. What a table hands out is immutable (strings, bound methods, built-in
classes), so that a pickle cannot alter what the next one meets.
"""

import pickle
from collections.abc import Mapping
from typing import Any

from vision_jax.core.errors import InputError


class RestrictedUnpickler(pickle.Unpickler):
    """Admits the names of `admitted` alone; a subclass says which those are."""

    holds = 'arrays'  # what a file of this kind may hold, for the message

    def admitted(self) -> Mapping[tuple[str, str], Any]:
        """From (module, name) to what the pickle is given in its place."""
        raise NotImplementedError

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name, called by `load`.

        Args:
            module: As the pickle has it.
            name: As the pickle has it.

        Raises:
            InputError: If the name is not admitted.
        """
        table = self.admitted()
        if (module, name) not in table:
            raise InputError(f'refused: it asks for {module}.{name}, and {self.holds}')
        return table[module, name]

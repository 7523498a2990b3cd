"""The error that a person can act on, and the nearest-name hint that goes with it."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside: one line that says what came, what was expected, what to do.

    The entry points in `launch/` print its message and exit with code 1; anything else that is
    raised is a defect of this library and keeps its traceback.
    """


def nearest(name: str, options: Iterable[str]) -> str:
    """A hint for a wrong name: `"; did you mean 'x'?"`, or the options when none is near.

    Args:
        name: What was asked for.
        options: The names that exist.

    Returns:
        Text to append to an error message.
    """
    options = sorted(options)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f'; known names: {", ".join(options)}'

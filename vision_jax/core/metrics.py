"""Sums and counts on the host: merging them, their means, and which of them is not finite.

A metric is a pair (sum, count). Pairs add up over batches, devices and processes, so a mean over a
data set is exact whatever the sizes of its batches.
"""

from typing import Any

import jax
import numpy as np

Totals = dict[str, tuple[float, float]]


def to_host(sums: dict[str, tuple[Any, Any]]) -> Totals:
    """Reads device scalars into Python floats; waits until they are computed."""
    return {name: (float(total), float(n)) for name, (total, n) in jax.device_get(sums).items()}


def merge(first: Totals, second: Totals) -> Totals:
    """Adds two sets of totals in double precision; a metric may be missing from either."""
    merged = dict(first)
    for name, (total, count) in second.items():
        before = merged.get(name, (0.0, 0.0))
        merged[name] = (before[0] + total, before[1] + count)
    return merged


def means(totals: Totals) -> dict[str, float]:
    """sum / count of each metric; a metric without any example is NaN."""
    return {name: total / count if count else np.nan for name, (total, count) in totals.items()}


def nonfinite(totals: Totals) -> list[str]:
    """The metrics whose sum or count is NaN or infinite, in their order.

    One bad step makes a sum over many steps non-finite, so totals of single steps tell which step
    it was.
    """
    return [name for name, pair in totals.items() if not np.isfinite(pair).all()]

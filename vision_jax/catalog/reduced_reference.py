"""Rows of the reduced-reference metrics."""

from vision_jax.catalog.rows import Metric

REDUCED_REFERENCE: dict[str, Metric] = {
}

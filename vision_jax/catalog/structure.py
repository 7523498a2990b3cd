"""Rows of the full-reference metrics of error and of structure."""

from vision_jax.catalog.rows import Metric

STRUCTURE: dict[str, Metric] = {
}

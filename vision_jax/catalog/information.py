"""Rows of the full-reference metrics in pyramids: information, phase, normalisation."""

from vision_jax.catalog.rows import Metric

INFORMATION: dict[str, Metric] = {
}

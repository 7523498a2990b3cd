"""Rows of the full-reference metrics of visual models and of learned features."""

from vision_jax.catalog.rows import Metric

PERCEPTION: dict[str, Metric] = {
}

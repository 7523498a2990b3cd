"""Metrics that know a reference by a few numbers only."""

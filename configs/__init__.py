"""Experiments, one ml_collections file each: `configs/<domain>/<experiment>.py[:variant]`."""

"""Losses by family: element-wise functions of predictions and targets; the caller reduces."""

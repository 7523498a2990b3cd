"""TFDS builders of published quality data sets, in the layout that their authors publish."""

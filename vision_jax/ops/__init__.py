"""Image operations: colour, filters, resizing and the metrics' down-sampling rule."""

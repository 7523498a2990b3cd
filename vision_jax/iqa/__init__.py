"""Image quality assessment: one method, one file."""

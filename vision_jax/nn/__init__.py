"""Building blocks and backbones in flax.linen."""

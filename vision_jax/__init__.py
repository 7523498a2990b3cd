"""vision_jax: visual quality and vision in JAX and Flax, as pure functions.

`vision_jax.catalog` lists what there is; each method lives in a file of its own, and importing
this package imports none of them.
"""

__version__ = '0.1.0'

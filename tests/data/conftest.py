"""What the tests of distortions share."""

import numpy as np
import pytest

from vision_jax.data.photographs import load_photograph


@pytest.fixture(scope='module')
def tile() -> np.ndarray:
    """A tile of a photograph, not square."""
    return (load_photograph('coffee')[120:216, 200:280] / 255).astype(np.float32)

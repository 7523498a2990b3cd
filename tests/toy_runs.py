"""A config, sources and a child process of small runs, for the tests of the run machinery."""

import ml_collections
import numpy as np

from configs.base import base
from tests import toy_tasks
from vision_jax.data import sources

SIZE = 8


def config(**changes) -> ml_collections.ConfigDict:
    """Ten steps on `toy_sources`; changes are dotted keys with `__` for the dot."""
    made = base()
    made.task = 'quality'
    made.loss = 'squared_error'
    made.data.name = 'toy'
    made.data.batch_size = SIZE
    made.data.flip = True
    made.optimizer.learning_rate = 0.05
    made.train.steps = 10
    made.train.log_every = 3
    made.train.eval_every = 5
    made.train.checkpoint_every = 2
    made.train.ema_decay = 0.9
    with made.unlocked():
        made.update_from_flattened_dict({k.replace('__', '.'): v for k, v in changes.items()})
    return made.lock()


def toy_sources(seed: int = 0) -> dict[str, sources.ArraySource]:
    """41 training and 13 test images whose quality is red minus green."""
    random = np.random.default_rng(seed)

    def source(count):
        image = random.integers(0, 256, (count, toy_tasks.SIDE, toy_tasks.SIDE, 3), np.uint8)
        red, green = image[..., 0].mean((1, 2)), image[..., 1].mean((1, 2))
        quality = ((red - green) / 51).astype(np.float32)
        return sources.ArraySource({
            'image': image, 'quality': quality, 'distortion': np.arange(count, dtype=np.int32) % 2,
        })

    return {'train': source(41), 'test': source(13)}


def task():
    """A convolution, batch statistics and a linear head."""
    return toy_tasks.convolution_task('batch')

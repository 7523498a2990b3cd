"""MetaIQA on embedded photographs: what `./launch/demo` compares, and a run of its own.

    ./launch/demo                       # all methods, splits and seeds, on cached features
    python -m launch.train --config=configs/iqa/metaiqa_photos.py --workdir=runs/photos

The data set is `photo_distortions`: tiles of 192 pixels from eleven photographs, KADID-10k's
distortions, and a pseudo-MOS, -log(1 - VSI + 0.001), as the label. The network is the early half
of an ImageNet EfficientNet-Lite0, frozen, with a linear head that adapts. `launch.train`
meta-trains one head through the whole pipeline; the section `few_shot` is the comparison of
methods over splits, seeds and draws.
"""

import ml_collections

from configs.base import base

# All that follows was chosen on splits of seed 1; the demo reports splits of seed 0.
INNER = {'inner_lr': 0.1, 'inner_steps': 20}
EPISODES = {'tasks': 8, 'support': 10, 'query': 20}
ADAPTATION = {'inner_lr': 0.1, 'inner_steps': 200, 'order': 1}
COSINE = {'name': 'cosine_decay_schedule'}
WEIGHT_DECAY = 6.0  # decoupled: heads that are freer fit the seven training photographs


def get_config(variant: str = ''):
    """The experiment's config; `smoke` is the same on a little data."""
    config = base()
    config.task = 'quality'
    config.loss = 'squared_error'
    config.model.name = 'stage_statistics'
    config.model.input = 'image'
    config.model.variant = 'lite0'
    config.model.conv = 'matmul'
    config.weights.path = 'efficientnet_lite0_imagenet'
    config.weights.prefix = 'trunk'

    config.meta.name = 'maml'
    config.meta.order = 2
    config.meta.adapt = 'head/.*'
    config.meta.update(INNER)
    config.optimizer.name = 'adamw'
    config.optimizer.learning_rate = 0.04
    config.optimizer.weight_decay = WEIGHT_DECAY
    config.optimizer.schedule = dict(COSINE)
    config.optimizer.freeze = ('trunk/.*',)

    config.data.name = 'photo_distortions'
    config.data.train_split = 'meta_train'
    config.data.test_split = 'meta_test'
    config.data.tile = 192
    config.data.tiles_per_photo = 8
    config.data.test_photographs = 4
    config.data.test_distortions = 4
    config.data.identities = False  # examples that equal their pristine tile
    config.data.unranked = False  # types whose levels VSI does not rank
    config.data.batch_size = 4
    config.data.episodes = {
        'support': 10, 'query': 20, 'group': 'distortion', 'disjoint_references': True,
        'evaluate': 16,
    }
    config.train.steps = 200
    config.train.eval_every = 50
    config.train.checkpoint_every = 50
    config.train.log_every = 10
    config.evaluators = ('correlation',)
    config.checkpoint.best_metric = 'correlation/srocc_group_mean'
    config.few_shot = few_shot()
    if variant == 'smoke':
        make_smoke(config)
    return config.lock()


def few_shot() -> ml_collections.ConfigDict:
    """The comparison: splits, seeds and draws, and what each method does before the K labels."""
    section = ml_collections.ConfigDict()
    section.splits = 8
    section.seeds = 3
    section.draws = 5
    section.split_seed = 0
    section.shots = (0, 5, 10, 20)
    section.test_photographs = 4
    section.test_distortions = 4
    section.methods = {
        'plain': method('ImageNet, fine-tuned', 0, meta={'name': ''}, steps=0),
        'joint': method('joint training', 1, meta={'name': ''}, steps=400, learning_rate=0.03),
        'bilevel': method(
            "MetaIQA's rule", 2, meta={'name': 'bilevel', 'inner_lr': 0.03}, steps=200,
            name='sgd', learning_rate=1.0, weight_decay=0.1,
        ),
        'maml_first': method(
            'MAML, first order', 3, meta={'name': 'maml', 'order': 1, **INNER}, steps=200
        ),
        'maml_second': method(
            'MAML, second order', 4, meta={'name': 'maml', 'order': 2, **INNER}, steps=200
        ),
    }
    return section


def method(title: str, order: int, *, meta: dict, steps: int, **optimizer):
    """One row of the comparison; `meta.name` '' is joint training on batches of single images."""
    adamw = {'name': 'adamw', 'learning_rate': 0.04, 'weight_decay': WEIGHT_DECAY}
    return {
        'title': title,
        'order': order,
        'meta': meta,
        'steps': steps,
        'optimizer': {**adamw, 'schedule': dict(COSINE), **optimizer},
        'batch': dict(EPISODES) if meta['name'] else {'size': 256},
        'adaptation': dict(ADAPTATION),
    }


def make_smoke(config) -> None:
    """A few small tiles, two splits, few steps: the same code in a minute or two."""
    config.data.tile = 96
    config.data.tiles_per_photo = 2
    config.data.photographs = ('astronaut', 'chelsea', 'coffee', 'rocket', 'china')
    config.data.test_photographs = 2
    config.data.batch_size = 2
    config.data.episodes.support = 2
    config.data.episodes.query = 2
    config.data.episodes.evaluate = 2
    config.train.steps = 2
    config.train.eval_every = config.train.checkpoint_every = 2
    config.train.log_every = 1
    config.few_shot.splits = 2
    config.few_shot.seeds = 1
    config.few_shot.draws = 2
    config.few_shot.test_photographs = 2
    for name in config.few_shot.methods:
        config.few_shot.methods[name].steps = min(10, config.few_shot.methods[name].steps)

"""MetaIQA on TID2013 and KADID-10k: 49 distortion types as tasks, the setting of the paper.

Zhu, Li, Wu, Dong, Shi: MetaIQA, deep meta-learning for no-reference image quality assessment, CVPR
2020, and the released code: ResNet-18 from ImageNet, 5 tasks a step, a support update and a query
update by Adam (trunk 1e-4, head 1e-2), the moves averaged into the parameters, 50 epochs.

    python -m launch.train --config=configs/iqa/metaiqa.py --workdir=runs/metaiqa \\
        --config.weights.path=/path/to/resnet18-f37072fd.pth

The paper then fine-tunes on the target (LIVE in the Wild: SROCC 0.802, KonIQ-10k: 0.850). Neither
the archives nor ResNet-18's ImageNet weights can be had from a package: `docs/data.md` says where
they are published. Not trained here; the smoke variant runs the same code on embedded photographs.
"""

from configs.base import base


def get_config(variant: str = ''):
    """The experiment's config; `smoke` is two steps of a tiny network."""
    config = base()
    config.task = 'quality'
    config.loss = 'squared_error'
    config.model.name = 'metaiqa'
    config.model.input = 'image'
    config.model.variant = 'resnet18'
    config.weights.path = ''  # torchvision's resnet18 file; empty: from scratch
    config.weights.name_map = 'torchvision_resnet'
    config.weights.prefix = 'trunk'

    config.meta.name = 'bilevel'
    config.meta.inner_lr = (('trunk/.*', 1e-4), ('head/.*', 1e-2))
    config.meta.inner_optimizer = 'adam'
    config.optimizer.name = 'sgd'  # rate 1: the parameters move by the averaged displacement
    config.optimizer.learning_rate = 1.0
    # The rates fall by 0.9 every two epochs; as a factor on the displacement.
    config.optimizer.schedule = {
        'name': 'exponential_decay', 'transition_steps': 20, 'decay_rate': 0.9, 'staircase': True,
    }

    config.data.name = 'tid2013+kadid10k'
    config.data.label_scale = 'metaiqa'
    config.data.batch_size = 5
    config.data.resize = 256
    config.data.crop = 224
    config.data.flip = True
    config.data.episodes = {
        'support': 75, 'query': 50, 'group': 'distortion', 'disjoint_references': False,
        'evaluate': 49,
    }
    config.train.steps = 500  # 50 epochs of 49 tasks, 5 a step
    config.train.eval_every = 100
    config.train.checkpoint_every = 50
    config.train.log_every = 10
    config.evaluators = ('correlation',)
    config.checkpoint.best_metric = 'correlation/srocc_group_mean'
    if variant == 'smoke':
        make_smoke(config)
    return config.lock()


def make_smoke(config) -> None:
    """Two steps of a tiny network on a few small tiles; no weights."""
    config.model.variant = 'tiny'
    config.weights.path = ''
    config.data.name = 'photo_distortions'
    config.data.label_scale = 'published'
    config.data.tile = 96
    config.data.tiles_per_photo = 1
    config.data.photographs = ('chelsea', 'coffee', 'rocket', 'china')
    config.data.test_photographs = 2
    config.data.batch_size = 2
    config.data.resize = 40
    config.data.crop = 32
    config.data.episodes = {
        'support': 4, 'query': 4, 'group': 'distortion', 'disjoint_references': True,
        'evaluate': 2,
    }
    config.train.steps = 2
    config.train.eval_every = config.train.checkpoint_every = 2
    config.train.log_every = 1

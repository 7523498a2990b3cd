"""What the library has, as one literal table: a name, where it lives, what is known of it.

Adding a method is adding its file and its row here; the contract tests, the listing and the
command line follow from the row. Nothing is imported before `get` asks for it.
"""

import importlib
from typing import Any, NamedTuple

from vision_jax.core.errors import InputError, nearest


class Metric(NamedTuple):
    """A row of a function that scores images.

    Attributes:
        path: `module:function`.
        domain: The package it belongs to.
        kind: `full_reference`, `reduced_reference` or `no_reference`.
        reference: Paper of the method.
        lower_is_better: Direction of the score.
        range: Least and greatest score on images in [0, 1].
        identity: Score of an image against itself.
        symmetric: Whether swapping reference and distorted image leaves the score as it is.
        monotone: Distortions whose growing strength the score must follow.
        differentiable: Whether gradients are finite everywhere.
        min_side: Least height and width.
    """

    path: str
    domain: str
    kind: str
    reference: str
    lower_is_better: bool
    range: tuple[float, float]
    identity: float
    symmetric: bool
    monotone: tuple[str, ...]
    differentiable: bool = True
    min_side: int = 16


class Model(NamedTuple):
    """A row of a network.

    Attributes:
        path: `module:function`, the function being `build(variant, **overrides)`.
        domain: The package it belongs to.
        kind: `backbone` or `head`.
        reference: Paper of the network.
        parameters: Variant to published parameter count, with 1000 outputs.
    """

    path: str
    domain: str
    kind: str
    reference: str
    parameters: dict[str, int]


class Method(NamedTuple):
    """A row of anything else that is called: a loss, an op, a meta-learner, an evaluator."""

    path: str
    domain: str
    kind: str
    reference: str


CATALOG: dict[str, Metric | Model | Method] = {
    # Image quality, full reference.
    'vsi': Metric(
        path='vision_jax.iqa.full_reference.vsi:vsi',
        domain='iqa',
        kind='full_reference',
        reference='Zhang, Shen, Li: VSI, a visual saliency-induced index, IEEE TIP 23(10), 2014',
        lower_is_better=False,
        range=(0.0, 1.0),
        identity=1.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
    ),
    # Backbones.
    'resnet': Model(
        path='vision_jax.nn.resnet:build',
        domain='nn',
        kind='backbone',
        reference='He et al.: Deep residual learning for image recognition, CVPR 2016, table 1',
        parameters={'18': 11_689_512, '34': 21_797_672, '50': 25_557_032},
    ),
    'efficientnet_lite': Model(
        path='vision_jax.nn.efficientnet_lite:build',
        domain='nn',
        kind='backbone',
        reference='Tan, Le: EfficientNet, ICML 2019; Lite variants: tensorflow/tpu, 2020',
        parameters={'lite0': 4_652_008, 'lite1': 5_416_680, 'lite2': 6_092_072},
    ),
    # Quality networks.
    'metaiqa': Method(
        path='vision_jax.iqa.metaiqa:build',
        domain='iqa',
        kind='quality_model',
        reference='Zhu et al.: MetaIQA, deep meta-learning for no-reference IQA, CVPR 2020',
    ),
    'stage_statistics': Method(
        path='vision_jax.iqa.stage_statistics:build',
        domain='iqa',
        kind='quality_model',
        reference='this library; the re-blur idea is of Crete et al.: The blur effect, SPIE 2007',
    ),
    # Losses, element-wise.
    'squared_error': Method(
        path='vision_jax.losses.regression:squared_error',
        domain='losses',
        kind='loss',
        reference='Legendre, 1805',
    ),
    'absolute_error': Method(
        path='vision_jax.losses.regression:absolute_error',
        domain='losses',
        kind='loss',
        reference='Boscovich, 1757',
    ),
    'huber': Method(
        path='vision_jax.losses.regression:huber',
        domain='losses',
        kind='loss',
        reference='Huber: Robust estimation of a location parameter, 1964',
    ),
    'pairwise_hinge': Method(
        path='vision_jax.losses.ranking:pairwise_hinge',
        domain='losses',
        kind='loss',
        reference='Wen, Wang: A strong baseline for image and video quality (CenseoQoE), 2021',
    ),
    'ranknet': Method(
        path='vision_jax.losses.ranking:ranknet',
        domain='losses',
        kind='loss',
        reference='Burges et al.: Learning to rank using gradient descent, ICML 2005',
    ),
    # Meta-learning, Task -> Task.
    'maml': Method(
        path='vision_jax.meta.maml:maml',
        domain='meta',
        kind='meta_learner',
        reference='Finn, Abbeel, Levine: Model-agnostic meta-learning, ICML 2017',
    ),
    'reptile': Method(
        path='vision_jax.meta.reptile:reptile',
        domain='meta',
        kind='meta_learner',
        reference='Nichol, Achiam, Schulman: On first-order meta-learning algorithms, 2018',
    ),
    'anil': Method(
        path='vision_jax.meta.anil:anil',
        domain='meta',
        kind='meta_learner',
        reference='Raghu et al.: Rapid learning or feature reuse?, ICLR 2020',
    ),
    'bilevel': Method(
        path='vision_jax.meta.bilevel:bilevel',
        domain='meta',
        kind='meta_learner',
        reference='Zhu et al.: MetaIQA, CVPR 2020, section 3.2 and the released code',
    ),
}


def entry(name: str) -> Metric | Model | Method:
    """The row of `name`.

    Args:
        name: Of a method.

    Raises:
        InputError: If there is no such name; the message gives the nearest one.
    """
    if name not in CATALOG:
        raise InputError(f"no method '{name}' in the catalogue{nearest(name, CATALOG)}")
    return CATALOG[name]


def get(name: str) -> Any:
    """The function of `name`, imported now.

    Args:
        name: Of a method.

    Raises:
        InputError: If there is no such name.
    """
    return resolve(entry(name).path)


def names(*, domain: str | None = None, kind: str | None = None) -> list[str]:
    """Names in the table's order, optionally of one domain and one kind only.

    Args:
        domain: One of the domains; none for all.
        kind: A kind, as `full_reference`; none for all.
    """
    return [
        name
        for name, row in CATALOG.items()
        if domain in (None, row.domain) and kind in (None, row.kind)
    ]


def resolve(path: str) -> Any:
    """Imports `module:attribute` and returns the attribute.

    Args:
        path: `module:attribute`.
    """
    module, attribute = path.split(':')
    return getattr(importlib.import_module(module), attribute)

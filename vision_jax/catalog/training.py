"""Rows of losses and meta-learners."""

from vision_jax.catalog.rows import Method

TRAINING: dict[str, Method] = {
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

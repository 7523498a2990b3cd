"""Rows of networks: backbones, and the quality models built on them."""

from vision_jax.catalog.rows import Method, Model

NETWORKS: dict[str, Model | Method] = {
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
    'vgg': Model(
        path='vision_jax.nn.vgg:build',
        domain='nn',
        kind='backbone',
        reference='Simonyan, Zisserman: Very deep convolutional networks, ICLR 2015, table 1',
        parameters={'16': 138_357_544, '19': 143_667_240},
    ),
    'alexnet': Model(
        path='vision_jax.nn.alexnet:build',
        domain='nn',
        kind='backbone',
        reference='Krizhevsky: One weird trick for parallelizing convolutional networks, 2014',
        parameters={'one_column': 61_100_840},
    ),
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
}

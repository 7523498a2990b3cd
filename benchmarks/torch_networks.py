"""ResNet-18 and EfficientNet-Lite0 in torch, the peers of train_step.py and maml.py.

Written out because torchvision has no Lite networks, and its wheels need CUDA libraries beside a
CPU build of torch. Sizes are held to ours by `parameters`.
"""

import torch
from torch import nn
from torch.nn import functional as F


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's 'SAME'."""

    def __init__(self, inputs, outputs, window=1, stride=1, groups=1):
        super().__init__(inputs, outputs, window, stride, groups=groups, bias=False)

    def forward(self, x):
        (window, _), (stride, _) = self.kernel_size, self.stride
        if window == 1:
            return super().forward(x)
        if stride == 1:
            return F.conv2d(x, self.weight, padding=window // 2, groups=self.groups)
        down, across = (
            max((-(-n // stride) - 1) * stride + window - n, 0) for n in x.shape[-2:])
        x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs, width, stride, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = norm(width)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != width:
            convolution = nn.Conv2d(inputs, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, norm(width))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class InvertedBottleneck(nn.Module):
    """EfficientNet-Lite's block."""

    def __init__(self, inputs, expansion, window, stride, channels):
        super().__init__()
        wide = inputs * expansion
        layers = []
        if expansion > 1:
            layers += [SameConv(inputs, wide), nn.BatchNorm2d(wide, 1e-3, 0.01), nn.ReLU6(True)]
        layers += [
            SameConv(wide, wide, window, stride, wide),
            nn.BatchNorm2d(wide, 1e-3, 0.01), nn.ReLU6(True),
            SameConv(wide, channels), nn.BatchNorm2d(channels, 1e-3, 0.01),
        ]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == channels

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class GlobalMean(nn.Module):
    """Mean over pixels; `nn.AdaptiveAvgPool2d` has no batching rule under `torch.func.vmap`."""

    def forward(self, x):
        return x.mean((2, 3))


def group_norm(channels: int) -> nn.Module:
    """Group normalisation of 32 groups, or fewer channels one by one."""
    return nn.GroupNorm(min(32, channels), channels)


def resnet18(width: int = 64, outputs: int = 1000, norm=nn.BatchNorm2d) -> nn.Module:
    """ResNet-18; `norm` builds a normalisation layer of so many channels."""
    layers = [nn.Conv2d(3, width, 7, 2, 3, bias=False), norm(width), nn.ReLU(),
              nn.MaxPool2d(3, 2, 1)]
    inputs = width
    for wide in (width, 2 * width, 4 * width, 8 * width):
        layers += [BasicBlock(inputs, wide, 1 if inputs == wide else 2, norm),
                   BasicBlock(wide, wide, 1, norm)]
        inputs = wide
    return nn.Sequential(*layers, GlobalMean(), nn.Linear(inputs, outputs))


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with 1000 outputs, without dropout."""
    layers, inputs = [SameConv(3, 32, 3, 2), nn.BatchNorm2d(32, 1e-3, 0.01), nn.ReLU6(True)], 32
    for expansion, window, stride, channels, repeats in (
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    ):
        for index in range(repeats):
            step = stride if index == 0 else 1
            layers.append(InvertedBottleneck(inputs, expansion, window, step, channels))
            inputs = channels
    layers += [SameConv(320, 1280), nn.BatchNorm2d(1280, 1e-3, 0.01), nn.ReLU6(True)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def train_step(model: nn.Module, images, labels, *, channels_last: bool):
    """A function that runs forward and backward once on fixed inputs, in training mode.

    Args:
        model: One of the above.
        images: `[b, h, w, 3]`, NumPy.
        labels: `[b]`, NumPy.
        channels_last: Memory layout of weights and images.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.train().to(memory_format=layout)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(labels)

    def step():
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()

    return step

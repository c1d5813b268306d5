"""Convolutions without shortcuts: two small nets, LeNet-5, VGG-11."""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.core.errors import BadInput
from bench.nets.body import Architecture, Body, Shape, conv, pooled

LENET_LEAST = 16  # pixels that two 5x5 convolutions and two poolings leave something of
VGG11 = ((1,), (2,), (4, 4), (8, 8), (8, 8))  # of each stage's convolutions, in widths; a pooling after each


def small(shape: Shape) -> Body:
    """Six convolutions behind a 2x2 stem of stride 2: seconds per training on a CPU core."""
    layers = [conv(shape.channels, 16, 2, 2), conv(16, 16), nn.MaxPool2d(2)]
    layers += [conv(16, 32), conv(32, 32), nn.MaxPool2d(2), conv(32, 64), conv(64, 64)]
    return Body(pooled(*layers), 64, "2x2 stride 2")


def conv5(shape: Shape) -> Body:
    """Five convolutions and three poolings: the quick profile's net.

    The first convolution is 3x3 of stride 1: behind one of stride 2 perturbations lose their finest part, and
    those of some methods do nothing.
    """
    layers = [conv(shape.channels, 12), nn.MaxPool2d(2), conv(12, 24), nn.MaxPool2d(2)]
    layers += [conv(24, 48), conv(48, 48), nn.MaxPool2d(2), conv(48, 96)]
    return Body(pooled(*layers), 96, "3x3 stride 1")


def lenet5(shape: Shape) -> Body:
    """LeNet-5 three times as wide, with tanh and mean pooling.

    LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86, 1998, whose
    third convolution sees its whole input and is a linear layer here. Raises BadInput where images are
    too small.
    """
    if shape.size < LENET_LEAST:
        raise BadInput(f"lenet5: images of {shape.size} pixels, expected {LENET_LEAST} or more")
    left = ((shape.size - 4) // 2 - 4) // 2  # pixels
    layers = [nn.Conv2d(shape.channels, 18, 5), nn.Tanh(), nn.AvgPool2d(2)]
    layers += [nn.Conv2d(18, 48, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()]
    layers += [nn.Linear(48 * left**2, 360), nn.Tanh(), nn.Linear(360, 252), nn.Tanh()]
    return Body(nn.Sequential(*layers), 252, "5x5 stride 1, no padding")


def vgg11(shape: Shape, *, width: int = 64) -> Body:
    """VGG-11 as CIFAR work has it: batch norm, and one linear layer in the place of three.

    Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    A map of odd side is pooled with its border, so that images of any size pass.
    """
    layers: list[nn.Module] = []
    into = shape.channels
    for stage in VGG11:
        for factor in stage:
            layers.append(conv(into, width * factor))
            into = width * factor
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return Body(pooled(*layers), into, "3x3 stride 1")


NETS = {
    "conv5": Architecture(conv5, revision=1),
    "lenet5": Architecture(lenet5, revision=1),
    "small": Architecture(small, revision=1),
    "vgg11": Architecture(vgg11, revision=1),
    "vgg11-slim": Architecture(partial(vgg11, width=16), revision=1),
}

"""DenseNets of torchvision with the stem of CIFAR work.

Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.nets.body import LARGE, Architecture, Body, Shape, pooled, seeing


def densenet(shape: Shape, blocks: tuple[int, ...], *, growth: int) -> Body:
    """DenseNet of torchvision.

    blocks: layers of each dense block; growth: channels that a layer adds.
    Differs from the net of that name in pytorch-cifar: torchvision has a batch norm after the stem.
    Below 64 pixels the stem is a 3x3 convolution without max-pool.
    """
    from torchvision.models import DenseNet

    net = DenseNet(growth, blocks, 2 * growth)
    layers, large = net.features, shape.size >= LARGE
    layers.conv0 = seeing(layers.conv0, shape.channels, **({} if large else {"kernel": 3, "stride": 1}))
    if not large:
        del layers.pool0
    stem = "7x7 stride 2, max-pool" if large else "3x3 stride 1"
    return Body(pooled(layers, nn.ReLU(inplace=True)), net.classifier.in_features, stem)


NETS = {
    "densenet-slim": Architecture(partial(densenet, blocks=(3, 6, 12, 8), growth=10), revision=1),
    "densenet121-tv": Architecture(partial(densenet, blocks=(6, 12, 24, 16), growth=32), revision=1),
}

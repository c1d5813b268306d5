"""ResNets: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

ResNet-50 is of bottlenecks, the others of basic blocks. Below 64 pixels the stem is the 3x3 convolution
without max-pool that CIFAR work uses. ResNet-10 has one block in each stage; it is not in the paper.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.nets.body import LARGE, Architecture, Body, Shape, conv, pooled


def resnet(
    shape: Shape, blocks: tuple[int, ...], *, width: int = 64, stride: int = 1, bottleneck: bool = False
) -> Body:
    """ResNet with the stem of CIFAR work.

    blocks: of each stage; every stage is twice as wide. stride: of the 3x3 stem.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck  # seconds, which others need not wait for

    kind = Bottleneck if bottleneck else BasicBlock
    if shape.size >= LARGE:
        layers = [conv(shape.channels, width, 7, 2), nn.MaxPool2d(3, 2, 1)]
        stem = "7x7 stride 2, max-pool"
    else:
        layers, stem = [conv(shape.channels, width, 3, stride)], f"3x3 stride {stride}"
    into = width
    for stage, count in enumerate(blocks):
        inner = width * 2**stage
        out = inner * kind.expansion
        for block in range(count):
            step = 2 if stage and not block else 1
            shortcut = None
            if step != 1 or into != out:
                shortcut = nn.Sequential(nn.Conv2d(into, out, 1, step, bias=False), nn.BatchNorm2d(out))
            layers.append(kind(into, inner, step, shortcut))
            into = out
    return Body(pooled(*layers), into, stem)


resnet10 = partial(resnet, blocks=(1, 1, 1, 1))
resnet18 = partial(resnet, blocks=(2, 2, 2, 2))
resnet34 = partial(resnet, blocks=(3, 4, 6, 3))
resnet50 = partial(resnet34, bottleneck=True)

NETS = {
    "resnet10-slim": Architecture(partial(resnet10, width=16), revision=1),
    "resnet10-slim-s2": Architecture(partial(resnet10, width=16, stride=2), revision=1),
    "resnet18": Architecture(resnet18, revision=1),
    "resnet18-slim": Architecture(partial(resnet18, width=16), revision=1),
    "resnet18-slim-s2": Architecture(partial(resnet18, width=16, stride=2), revision=1),
    "resnet34-slim-s2": Architecture(partial(resnet34, width=16, stride=2), revision=1),
    "resnet50": Architecture(resnet50, revision=1),
}

"""Nets of depthwise convolutions: torchvision's MobileNetV2 and EfficientNet-B0 with stems of CIFAR work.

Their dropout and stochastic depth are off, since a net here draws nothing as it computes.
"""

from __future__ import annotations

from functools import partial

from bench.nets.body import LARGE, Architecture, Body, Shape, pooled, seeing


def mobilenet(shape: Shape, *, width: float = 1.0) -> Body:
    """MobileNetV2 of torchvision.

    width: of all layers but the last, as a share of the paper's.
    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2.
    Below 64 pixels stem and second stage have stride 1. Differs from the net of that name in
    pytorch-cifar, which has convolutional shortcuts.
    """
    from torchvision.models import MobileNetV2

    stride = 2 if shape.size >= LARGE else 1
    # expansion, channels, layers, stride
    stages = [[1, 16, 1, 1], [6, 24, 2, stride], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1]]
    net = MobileNetV2(width_mult=width, inverted_residual_setting=[*stages, [6, 160, 3, 2], [6, 320, 1, 1]])
    net.features[0][0] = seeing(net.features[0][0], shape.channels, stride=stride)
    return Body(pooled(net.features), net.last_channel, f"3x3 stride {stride}")


def efficientnet(shape: Shape) -> Body:
    """EfficientNet-B0 of torchvision.

    Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019.
    Below 64 pixels the stem has stride 1.
    """
    from torchvision.models import efficientnet_b0

    stride = 2 if shape.size >= LARGE else 1
    net = efficientnet_b0(dropout=0.0, stochastic_depth_prob=0.0)
    net.features[0][0] = seeing(net.features[0][0], shape.channels, stride=stride)
    return Body(pooled(net.features), net.classifier[1].in_features, f"3x3 stride {stride}")


NETS = {
    "efficientnet_b0-tv": Architecture(efficientnet, revision=1),
    "mobilenet-slim": Architecture(partial(mobilenet, width=0.5), revision=1),
    "mobilenet_v2-tv": Architecture(mobilenet, revision=1),
}

"""VGG-16 and VGG-19 as CIFAR work has them: torchvision's convolutions, and one linear layer.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
Differs from the paper: batch norm after each convolution, no hidden linear layers, no dropout. VGG-11, whose
convolutions have no biases here, is among the plain nets.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.nets.body import Architecture, Body, Shape, pooled, seeing

WIDTH = 64  # channels of the first stage in the paper


def vgg(shape: Shape, layers: str, *, width: int = WIDTH) -> Body:
    """VGG with batch norm, and one linear layer in the place of three.

    layers: the paper's column, D (16 layers) or E (19); width: channels of the first stage.
    A map of odd side is pooled with its border, so that images of any size pass.
    """
    from torchvision.models.vgg import cfgs, make_layers

    widths = [each if isinstance(each, str) else each * width // WIDTH for each in cfgs[layers]]
    made = make_layers(widths, batch_norm=True)
    made[0] = seeing(made[0], shape.channels)
    for layer in made:
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return Body(pooled(*made), 8 * width, "3x3 stride 1")


NETS = {
    "vgg-slim": Architecture(partial(vgg, layers="D", width=20), revision=1),
    "vgg16_bn": Architecture(partial(vgg, layers="D"), revision=1),
    "vgg19_bn": Architecture(partial(vgg, layers="E"), revision=1),
}

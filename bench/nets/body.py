"""What all nets are made of below their heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import nn

LARGE = 64  # pixels from which the standard 7x7 stem is used


class Shape(NamedTuple):
    """What a net is built for."""

    channels: int
    size: int  # pixels, of square images
    classes: int


class Body(NamedTuple):
    """What a net is made of below its head."""

    module: nn.Module
    width: int  # length of its features
    stem: str  # as the row records it
    logits: bool = False  # its features are the logits already, and the head is the identity


class Architecture(NamedTuple):
    """A net by name."""

    body: Callable[[Shape], Body]
    # raised by whoever changes what it computes, or what a seed makes of its weights; None: a draft, which
    # rows tell by its code
    revision: int | None = None
    recipe: Mapping[str, object] = {}  # fields of a Recipe, unless others are asked for
    code: str = ""  # digest of a plugged-in net's, for whoever plugs it in


def conv(into: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    pad = kernel // 2 if kernel % 2 else 0
    layers = nn.Conv2d(into, out, kernel, stride, pad, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    return nn.Sequential(*layers)


def seeing(
    layer: nn.Conv2d, channels: int, *, kernel: int | None = None, stride: int | None = None
) -> nn.Conv2d:
    """Make a net's first convolution for images of other channels or size, initialised as torch does."""
    kernel, stride = kernel or layer.kernel_size[0], stride or layer.stride[0]
    return nn.Conv2d(channels, layer.out_channels, kernel, stride, kernel // 2, bias=layer.bias is not None)


def pooled(*layers: nn.Module) -> nn.Sequential:
    """Convolutions, whose features are their mean over the image."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

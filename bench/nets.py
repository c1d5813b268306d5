"""Networks: normalise, then features, then head.

ResNet-18 follows He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; below 64
pixels its stem is the 3x3 convolution without max-pool that CIFAR work uses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from bench.core.conv import swap
from bench.core.rng import generator, global_rng

MEAN, STD = 0.5, 0.25  # the same for every data set and channel: nothing is fitted on poisoned data
LARGE = 64  # pixels from which the standard 7x7 stem is used


class Body(NamedTuple):
    """What a net is made of below its head."""

    module: nn.Module
    width: int  # length of its features
    stem: str  # as the row records it


class Net(nn.Module):
    """logits = head(features(x)) for x in [0,1]; computes in bfloat16 if asked, returns float32."""

    def __init__(self, body: Body, classes: int, precision: str) -> None:
        super().__init__()
        self.body, self.head, self.stem = body.module, nn.Linear(body.width, classes), body.stem
        self.precision = precision

    def features(self, x: Tensor) -> Tensor:
        """(B,C,H,W) in [0,1] -> float32 (B,D), what the head reads."""
        x = x.sub(MEAN).div_(STD).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            z: Tensor = self.body(x)
        return z.float()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def conv(into: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    pad = kernel // 2 if kernel % 2 else 0
    layers = nn.Conv2d(into, out, kernel, stride, pad, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    return nn.Sequential(*layers)


def resnet18(channels: int, size: int, *, width: int = 64, stride: int = 1) -> Body:
    """The body of a ResNet-18; stride is that of the 3x3 stem."""
    if size >= LARGE:
        layers, stem = [conv(channels, width, 7, 2), nn.MaxPool2d(3, 2, 1)], "7x7 stride 2, max-pool"
    else:
        layers, stem = [conv(channels, width, 3, stride)], f"3x3 stride {stride}"
    into = width
    for stage, factor in enumerate((1, 2, 4, 8)):
        out = width * factor
        for block in range(2):
            step = 2 if stage and not block else 1
            shortcut = None
            if step != 1 or into != out:
                shortcut = nn.Sequential(nn.Conv2d(into, out, 1, step, bias=False), nn.BatchNorm2d(out))
            layers.append(BasicBlock(into, out, step, shortcut))
            into = out
    return Body(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), into, stem)


def small(channels: int, size: int) -> Body:
    """Six convolutions behind a 2x2 stem of stride 2: seconds per training on a CPU core."""
    layers = [conv(channels, 16, 2, 2), conv(16, 16), nn.MaxPool2d(2)]
    layers += [conv(16, 32), conv(32, 32), nn.MaxPool2d(2), conv(32, 64), conv(64, 64)]
    return Body(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 64, "2x2 stride 2")


NETS: dict[str, Callable[[int, int], Body]] = {
    "small": small,
    "resnet18": resnet18,
    "resnet18-slim": partial(resnet18, width=16),
    "resnet18-slim-s2": partial(resnet18, width=16, stride=2),
}


def build(
    name: str, *, channels: int, classes: int, size: int, precision: str, seed: int, device: torch.device
) -> Net:
    """A freshly initialised net; the seed alone decides its weights."""
    with global_rng(generator(seed)):
        net = Net(NETS[name](channels, size), classes, precision)
    swap(net)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

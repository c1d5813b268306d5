"""Vision transformers on patches of 4x4 pixels.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021;
torchvision's, in sizes that papers on unlearnable CIFAR-10 train. No dropout, since a net here draws
nothing as it computes.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.core.errors import BadInput
from bench.nets.body import Architecture, Body, Shape

PATCH = 4  # pixels
# AdamW as One-Pixel Shortcut (Wu et al., ICLR 2023) trains transformers; the warm-up is our choice
RECIPE = {"optimiser": "adamw", "lr": 5e-4, "weight_decay": 0.03, "warmup": 0.1}


def vit(shape: Shape, *, layers: int, heads: int, width: int) -> Body:
    """Vision transformer on patches of 4x4 pixels.

    width: of each token, and a quarter of a hidden layer's; heads: of attention in each layer.
    Raises BadInput where patches do not fit the image.
    """
    from torchvision.models import VisionTransformer

    if shape.size % PATCH:
        raise BadInput(f"vit: images of {shape.size} pixels, expected a multiple of {PATCH}")
    net = VisionTransformer(shape.size, PATCH, layers, heads, width, 4 * width)
    net.conv_proj = nn.Conv2d(shape.channels, width, PATCH, PATCH)
    nn.init.trunc_normal_(net.conv_proj.weight, std=(shape.channels * PATCH**2) ** -0.5)  # as torchvision's
    nn.init.zeros_(net.conv_proj.bias)  # type: ignore[arg-type]
    net.heads = nn.Identity()
    return Body(net, width, f"patches of {PATCH}x{PATCH}")


NETS = {
    "vit-slim": Architecture(partial(vit, layers=6, heads=3, width=96), revision=1, recipe=RECIPE),
    "vit-small": Architecture(partial(vit, layers=8, heads=6, width=384), revision=1, recipe=RECIPE),
    "vit-tiny": Architecture(partial(vit, layers=6, heads=3, width=192), revision=1, recipe=RECIPE),
}

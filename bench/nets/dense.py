"""Nets of linear layers: the linear classifier, and two and three layers with ReLU."""

from __future__ import annotations

from functools import partial

from torch import nn

from bench.nets.body import Architecture, Body, Shape


def linear(shape: Shape) -> Body:
    """Linear classifier: logits are linear in the pixels, and are what is called features."""
    layers = nn.Flatten(), nn.Linear(shape.channels * shape.size**2, shape.classes)
    return Body(nn.Sequential(*layers), shape.classes, "none: features are logits", logits=True)


def mlp(shape: Shape, *, hidden: tuple[int, ...]) -> Body:
    """Linear layers with ReLU between.

    hidden: widths of the layers below the head, which are the same for images of any size.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    into = shape.channels * shape.size**2
    for out in hidden:
        layers += [nn.Linear(into, out), nn.ReLU(inplace=True)]
        into = out
    return Body(nn.Sequential(*layers), into, "none: all pixels at once")


NETS = {
    "linear": Architecture(linear, revision=1),
    "mlp2": Architecture(partial(mlp, hidden=(3072,)), revision=1),
    "mlp2-slim": Architecture(partial(mlp, hidden=(512,)), revision=1),
    "mlp3": Architecture(partial(mlp, hidden=(3072, 1536)), revision=1),
    "mlp3-slim": Architecture(partial(mlp, hidden=(512, 512)), revision=1),
}

"""Orthogonal projection: take out of every training image whatever a linear classifier reads in it.

Sandoval-Segura et al., "What Can We Learn from Unlearnable Datasets?", NeurIPS 2023, and its official code:
a bias-free linear classifier of the published images; its weights, made orthonormal, are the directions that
are subtracted. op trains as that code does by default: turned, sheared, scaled and coloured images, and
CutMix for half of the batches. op-none is op without the projection: what it gains is augmentation's.
op-plain is the projection alone.
Differs from the paper: projected images are clipped and rounded to uint8, theirs leave the pixel range; the
linear classifier sees shuffled batches, as all nets here; the images are turned, sheared and scaled in one
bilinear step after crop and flip, theirs in two nearest-neighbour steps before them, and colours change in
one order; the victim's recipe is the run's, not theirs of 50 epochs with drops. Test images stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.pixels import to_float, to_uint8
from bench.core.rng import global_rng
from bench.core.train import Streams, fit
from bench.core.types import Augmentation, BadInput, Recipe, Split

PART = 4096  # images projected at once
LINEAR = Recipe(epochs=20, batch=1024, momentum=0, weight_decay=0, schedule="steps", milestones=(0.5, 0.75))


@dataclass(frozen=True)
class Projection(Undefended):
    """Subtract the directions that a linear classifier of the published images reads."""

    linear: Recipe = field(default=LINEAR)  # how that classifier is trained

    revision: ClassVar[int] = 1
    of_shown: ClassVar[tuple[str, ...]] = ("linear",)
    # as many steps as the paper's 50,000 images give, or nearly
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"linear.batch": 64},
        "cifar-cpu": {"linear.batch": 256},
        "reference": {"linear.batch": 256},
    }

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        """Give images orthogonal to the weights of all classes, but for clipping and rounding."""
        with global_rng(kit.rng("init")):
            layer = nn.Linear(images[0].numel(), kit.classes, bias=False, device=images.device)
        reader = nn.Sequential(nn.Flatten(), layer)
        streams = Streams.of(kit.seed, kit.seed, images.device)
        fit(reader, Split(images, labels), self.linear, streams, Augmentation(0, flip=False), tick=kit.tick)
        directions = torch.linalg.qr(F.normalize(layer.weight.detach()).T).Q
        return torch.cat([_without(directions, part) for part in images.split(PART)])


def _without(directions: Tensor, images: Tensor) -> Tensor:
    """Project uint8 images; directions: (pixels,K), orthonormal columns."""
    flat = to_float(images).flatten(1)
    return to_uint8((flat - flat @ directions @ directions.T).view(images.shape))


@dataclass(frozen=True)
class Augmented(Undefended):
    """What the projection's authors train with, projection or not."""

    angle: float = 10.0  # degrees, at most: turned by one draw, sheared by another
    scale: float = 0.2  # enlarged or made smaller by this share, at most
    colour: float = 0.2  # brightness, contrast and saturation change by this share, at most
    mixed: float = 0.5  # probability that a batch is cut and mixed

    revision: ClassVar[int] = 1
    STEADY: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, most in (("angle", 45), ("scale", 0.9), ("colour", 1), ("mixed", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise BadInput(
                    f"{type(self).__name__}: {name} is {getattr(self, name):g}, expected 0 to {most}"
                )

    @property
    def cost(self) -> float:
        return 1.3  # of a small net; of a ResNet-18 it is lost in the noise

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        b, device = len(x), x.device
        turn, shear, scale, *colours = 2 * torch.rand(6, b, generator=rng, device=device) - 1
        turn, shear = (math.radians(self.angle) * draw for draw in (turn, shear))
        size = 1 / (1 + self.scale * scale)
        cos, sin, slope = turn.cos() * size, turn.sin() * size, shear.tan()
        zero = torch.zeros_like(turn)
        back = torch.stack([cos, slope * cos - sin, zero, sin, slope * sin + cos, zero], 1).view(b, 2, 3)
        grid = F.affine_grid(back, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)  # what comes in at the border is black
        brightness, contrast, saturation = (1 + self.colour * draw.view(b, 1, 1, 1) for draw in colours)
        x = (x * brightness).clamp(0, 1)
        x = _gray(x).mean((1, 2, 3), keepdim=True).lerp(x, contrast).clamp(0, 1)
        return _gray(x).lerp(x, saturation).clamp(0, 1)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        x, other, share = cut_and_mix(x, y, self.mixed, rng)
        logits: Tensor = net(x)
        own, mixed = (F.cross_entropy(logits, labels) for labels in (y, other))
        return share * own + (1 - share) * mixed


def _gray(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C,H,W), the same luminance in all channels."""
    if x.shape[1] != 3:
        return x
    red, green, blue = x.unbind(1)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    return gray[:, None].expand_as(x)


def cut_and_mix(x: Tensor, y: Tensor, p: float, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Fill one box of all images from others of the batch, with probability p.

    Its area is uniform in [0,1] of the image's, its centre anywhere, and it is clipped at the border.
    Returns the images, the labels of those others, and the share of each image that is its own.
    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019, section 3.1, with beta 1.
    """
    (b, _, h, w), device = x.shape, x.device
    chosen, area, across, down = torch.rand(4, generator=rng, device=device)
    others = torch.rand(b, generator=rng, device=device).argsort()
    rows, columns = (_line(n, at, area) for n, at in ((h, down), (w, across)))
    box = rows[:, None] & columns & (chosen < p)
    return torch.where(box, x[others], x), y[others], 1 - box.float().mean()


def _line(length: int, at: Tensor, area: Tensor) -> Tensor:
    """bool (length,): what lies within a box of this area; at: its centre, in [0,1)."""
    side, centre = (length * area.sqrt()).floor(), (length * at).floor()
    line, first = torch.arange(length, device=at.device), centre - (side / 2).floor()
    return (line >= first) & (line < centre + (side / 2).floor())


@dataclass(frozen=True)
class OrthogonalProjection(Augmented, Projection):
    """Projected images, trained on as the projection's authors train."""

    revision: ClassVar[int] = 1


VARIANTS = {"op": OrthogonalProjection(), "op-none": Augmented(), "op-plain": Projection()}
CONTROLS = ("op-none",)
ALL = ()

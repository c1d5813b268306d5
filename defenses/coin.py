"""COIN: take every pixel from a random place nearby, which undoes filters that differ between classes.

Wang et al., "Corrupting Convolution-based Unlearnable Datasets with Pixel-based Image Transformations",
arXiv 2311.18403 (AAAI 2025): displacements up to 2 pixels in both directions, interpolated, after crop and
flip; images wrap around as scipy's mode "wrap" has it, which the authors' code calls.
Differs from the paper: values are not cut to whole grey levels, which makes theirs darker by half of one;
their victims' 80 epochs without weight decay are the run's recipe here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bench.core.defense import Undefended
from bench.core.types import Dataset


@dataclass(frozen=True)
class Coin(Undefended):
    """Interpolated values at places that are drawn for each pixel, the same for all channels."""

    reach: float = 2.0  # pixels in either direction, uniform

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("reach",)
    STEADY: ClassVar[bool] = True

    @property
    def cost(self) -> float:
        return 1.1

    def unsuited(self, data: Dataset) -> str | None:
        return None if data.size > self.reach + 1 else f"{data.name} has images of {data.size} pixels a side"

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        b, _, h, w = x.shape
        shifts = self.reach * (2 * torch.rand(2, b, h, w, generator=rng, device=x.device) - 1)
        rows = wrapped(torch.arange(h, device=x.device)[:, None] + shifts[0], h - 1)
        columns = wrapped(torch.arange(w, device=x.device) + shifts[1], w - 1)
        places = torch.stack([2 * columns / (w - 1) - 1, 2 * rows / (h - 1) - 1], 3)
        return F.grid_sample(x, places, align_corners=True).clamp_(0, 1)


def wrapped(place: Tensor, last: int) -> Tensor:
    """Bring places into [0, last] as scipy's mode "wrap" does, for which last and 0 are one place."""
    return torch.where((place < 0) | (place > last), place.remainder(last), place)


VARIANTS = {"coin": Coin()}
ALL = ()

"""Cutout: blank one fixed square at a random place of every training image.

DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
arXiv 1708.04552, section 3.1: the centre is uniform over the image, the square is clipped at the border.
Differs from the paper: blank is black (0 before normalisation), as evaluations of unlearnable examples
that do not normalise have it; the paper's zero comes after normalisation. The side is half the image's for
every data set, the paper's 16 of 32 pixels for CIFAR-10; it has 8 for CIFAR-100 (--set cutout.side=0.25).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Cutout(Undefended):
    """One black square an image."""

    side: float = 0.5  # of the image's side: 16 of 32 pixels

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("side",)
    STEADY: ClassVar[bool] = True

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        b, _, h, w = x.shape
        rows = self._outside(b, h, rng, x.device)[:, None, :, None]
        columns = self._outside(b, w, rng, x.device)[:, None, None, :]
        return x * (rows | columns)

    def _outside(self, b: int, length: int, rng: Generator, device: torch.device) -> Tensor:
        """bool (B,length): which lines the square leaves alone."""
        side = round(self.side * length)
        first = torch.randint(0, length, (b, 1), generator=rng, device=device) - side // 2
        line = torch.arange(length, device=device)
        return (line < first) | (line >= first + side)


VARIANTS = {"cutout": Cutout()}

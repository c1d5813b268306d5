"""RandAugment: two operations on an image, drawn from fourteen that move, colour or coarsen it.

Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", NeurIPS 2020,
section 3; torchvision's, N = 2, M = 9, as evaluations of unlearnable examples have it (Wu et al., "One-Pixel
Shortcut", ICLR 2023).
Differs from the paper: a batch has 16 pairs of operations, each for a sixteenth of its images, where each
image draws its own: many times as fast (--set randaugment.policies=512 gives each its own). Operations
come after crop and flip; what moves in is black.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from bench.core.defense import Undefended
from bench.core.pixels import to_float, to_uint8
from bench.core.rng import global_rng
from bench.core.types import BadInput


@dataclass(frozen=True)
class RandAugment(Undefended):
    """Two random operations of one strength."""

    operations: int = 2  # one after the other: N
    magnitude: int = 9  # of 0 to 30: M
    policies: int = 16  # drawn for a batch, each for an equal part of it

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("operations", "policies")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.magnitude <= 30:
            raise BadInput(f"RandAugment has magnitude {self.magnitude}, expected 0 to 30")

    @property
    def cost(self) -> float:
        return 1.5

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        from torchvision.transforms.v2 import RandAugment as Policy  # seconds, which others need not wait for

        policy, images = Policy(self.operations, self.magnitude), to_uint8(x)
        with global_rng(rng):
            return to_float(torch.cat([policy(part) for part in images.chunk(self.policies)]))


VARIANTS = {"randaugment": RandAugment()}
ALL = ()

"""Random: add uniform noise; the control for "any noise of this size would do".

Zhu et al., "Why Do Unlearnable Examples Work: A Novel Perspective of Mutual
Information", ICLR 2026, table 1: the row of random noise.
Differs from the paper: its official evaluation draws from the same distribution, each value of each image
uniform in [-eps, eps] with eps 8/255, but always with seed 1, and it truncates the published images to
uint8, where ours are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.method import Lab, Method, Need
from bench.core.types import Split


@dataclass(frozen=True)
class Uniform(Method):
    """Uniform noise, a draw of its own for every image."""

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        delta = torch.empty(clean.images.shape, device=clean.images.device)
        return delta.uniform_(-self.eps, self.eps, generator=lab.rng("noise"))


VARIANTS = {"random": Uniform()}
CONTROLS = ("random",)
ALL = ("random",)

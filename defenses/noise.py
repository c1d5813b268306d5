"""Gaussian noise on every training image, drawn anew each time.

Zhu, Miao, Dong, Gao, "Why Do Unlearnable Examples Work: A Novel Perspective of Mutual Information",
ICLR 2026 (arXiv 2603.03725), official evaluation: a deviation of 8 grey levels, cut to the pixel range.
Differs from the paper: noise comes after crop and flip, theirs before, so that the black margin of a
shifted image is noisy, too; and it is not cut to whole grey levels, which makes theirs darker by a half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Noise(Undefended):
    """Independent noise on every value."""

    deviation: float = 8 / 255  # pixels in [0,1]

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("deviation",)
    STEADY: ClassVar[bool] = True

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        return (x + self.deviation * noise).clamp_(0, 1)


VARIANTS = {"noise8": Noise()}
ALL = ()

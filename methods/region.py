"""Regions: shift each region of the image, for each class, by eps or -eps in each channel, by a toss.

Zhu, Yu, Gao, "Detection and Defense of Unlearnable Examples", AAAI 2024: its class-wise region noise, after
Sandoval-Segura et al., "Poisons that are learned faster are more effective", CVPR workshops 2022. Nothing
is learnt and no image is looked at: the control that every class-wise method has to beat.
Differs from the paper: nothing known. Nothing keeps two classes from the same pattern, there as here; with
four regions there are 4,096, so that of 100 classes some pair has one in common, more often than not, which
is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.method import Form, Lab, Method, Need
from bench.core.types import Split


@dataclass(frozen=True)
class Regions(Method):
    """Random shifts of a grid of regions, the same for all images of a class."""

    side: int = 2  # regions along a side of the image

    revision: ClassVar[int] = 1
    form: ClassVar[Form] = "class-wise"
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("side",)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        channels, *size = clean.images.shape[1:]
        shape = (lab.classes, channels, self.side, self.side)
        toss = torch.randint(0, 2, shape, generator=lab.rng("regions"), device=clean.images.device)
        if shared := lab.classes - len(toss.unique(dim=0)):
            lab.unreached(
                f"{lab.classes - shared} patterns for {lab.classes} classes, expected one of its own for each"
            )
        return F.interpolate(self.eps * (2.0 * toss - 1), size, mode="nearest")[clean.labels]


VARIANTS = {f"region-{side**2}": Regions(side=side) for side in (2, 4, 8)}
CONTROLS = (*VARIANTS,)
ALL = ()

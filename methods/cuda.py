"""CUDA: convolve every image with its class's random filter.

Sadasivan, Soltanolkotabi, Feizi, "CUDA: Convolution-based Unlearnable Datasets", CVPR 2023, section 3.
Differs from the paper: filters are drawn from the poison's seed, by NumPy as in the official code, which
has seed 0; the published images are rounded to uint8, where the official code cuts them; an image that is
black stays black. The entry that is 1 is anywhere in the filter, as the official code has it, not its
centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.method import Form, Lab, Method, Need
from bench.core.pixels import to_float
from bench.core.threat import Threat
from bench.core.types import Split
from methods._filters import SEEDS, filtered, filters


@dataclass(frozen=True)
class CUDA(Method):
    """A blur of its own for every class."""

    eps: float = 1.0  # no bound
    blur: float = 0.3  # largest entry of a filter, but the one that is 1
    batch: int = 512  # images filtered at once

    revision: ClassVar[int] = 1
    form: ClassVar[Form] = "class-wise"
    maps_images: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("blur", "batch")

    @property
    def threat(self) -> Threat:
        return Threat("unbounded")

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        device, seed = clean.images.device, lab.order("filters") % SEEDS
        weights = filters(lab.classes, self.blur, seed).float().to(device)
        rows = torch.arange(len(clean), device=device).split(self.batch)
        return torch.cat([filtered(to_float(clean.images[r]), weights[clean.labels[r]]) for r in rows])


VARIANTS = {"cuda": CUDA()}
ALL = ()

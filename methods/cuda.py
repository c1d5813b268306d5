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

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.method import Form, Lab, Method, Need
from bench.core.pixels import to_float
from bench.core.threat import Threat
from bench.core.types import Split

SEEDS = 2**32  # that NumPy's old generator takes
SIDE = 3  # of a filter, pixels


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


def filters(classes: int, blur: float, seed: int) -> Tensor:
    """Draw a filter for each class, float64 (classes,3,3)."""
    rng, drawn = np.random.RandomState(seed), []
    for _ in range(classes):
        one = rng.uniform(0, blur, (3, SIDE, SIDE))[0]  # one is drawn for each channel, the first is used
        one[rng.randint(SIDE), rng.randint(SIDE)] = 1
        drawn.append(one)
    return torch.from_numpy(np.stack(drawn))


def filtered(x: Tensor, weights: Tensor) -> Tensor:
    """Convolve each image's channels with its filter, on black ground, and divide it by its largest value.

    x: (B,C,H,W) in [0,1]. weights: (B,3,3). Returns (B,C,H,W) in [0,1].
    """
    b, c, *size = x.shape
    each = weights.repeat_interleave(c, 0)[:, None]
    found = F.conv2d(x.view(1, b * c, *size), each, padding=SIDE // 2, groups=b * c).view(x.shape)
    tiny = torch.finfo(x.dtype).tiny
    return (found / found.amax((1, 2, 3), keepdim=True).clamp(min=tiny)).clamp_(0, 1)


VARIANTS = {"cuda": CUDA()}
ALL = ()

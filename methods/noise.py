"""Random changes of each threat model; controls for "any change of this size would do".

No source.
Differs from the paper: there is none; random, in uniform.py, has a table's noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.contract import sizes
from bench.core.method import Lab, Method, Need
from bench.core.pixels import to_float
from bench.core.threat import Threat
from bench.core.types import Split
from methods._filters import SEEDS, filtered, filters

LSP = 6 / 255 * 3072**0.5  # radius of LSP, so that both are on one board: 1.304


@dataclass(frozen=True)
class Signs(Method):
    """Noise of the largest size: each value of each image is eps or -eps, by a toss."""

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        shape, device = clean.images.shape, clean.images.device
        return self.eps * (2.0 * torch.randint(0, 2, shape, generator=lab.rng("noise"), device=device) - 1)


@dataclass(frozen=True)
class Sphere(Method):
    """Gaussian noise, a draw of its own for every image, scaled to one L2 norm."""

    eps: float = 1.0  # no L-inf bound
    radius: float = LSP  # L2 norm of every image's noise, pixels in [0,1]

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()
    POSITIVE: ClassVar[tuple[str, ...]] = ("radius",)

    @property
    def threat(self) -> Threat:
        return Threat("l2", self.radius)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        noise = torch.empty(clean.images.shape, device=clean.images.device)
        noise.normal_(generator=lab.rng("noise"))
        noise *= (self.radius / sizes(self.threat, noise)).view(-1, 1, 1, 1)
        return noise


@dataclass(frozen=True)
class Pixel(Method):
    """One pixel of every image, at a place and in a colour of its own; channels are black or white."""

    eps: float = 1.0  # no L-inf bound

    revision: ClassVar[int] = 1
    maps_images: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ()

    @property
    def threat(self) -> Threat:
        return Threat("l0", 1)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        n, c, h, w = clean.images.shape
        rng, device = lab.rng("pixel"), clean.images.device
        place = torch.randint(0, h * w, (n, 1, 1), generator=rng, device=device)
        colour = torch.randint(0, 2, (n, c, 1), generator=rng, device=device)
        changed = to_float(clean.images).flatten(2)
        return changed.scatter_(2, place.expand(n, c, 1), colour.float()).view(n, c, h, w)


@dataclass(frozen=True)
class Filter(Method):
    """CUDA's filters, a draw of its own for every image, so that none tells a class."""

    eps: float = 1.0  # no bound
    blur: float = 0.3  # largest entry of a filter, but the one that is 1; as CUDA's

    revision: ClassVar[int] = 1
    maps_images: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ()
    POSITIVE: ClassVar[tuple[str, ...]] = ("blur",)

    @property
    def threat(self) -> Threat:
        return Threat("unbounded")

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        device, seed = clean.images.device, lab.order("filters") % SEEDS
        weights = filters(len(clean), self.blur, seed).float().to(device)
        rows = torch.arange(len(clean), device=device).split(512)
        return torch.cat([filtered(to_float(clean.images[r]), weights[r]) for r in rows])


VARIANTS = {
    "random-signed": Signs(),
    "random-l2": Sphere(),
    "random-l2-unit": Sphere(radius=1.0),
    "random-l0": Pixel(),
    "random-unbounded": Filter(),
}
CONTROLS = (*VARIANTS,)
ALL = ()

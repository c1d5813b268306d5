"""Low-pass filters of 3x3 and 9x9 pixels: the median, a Gaussian, an edge-preserving mean.

Fu et al., "Robust Unlearnable Examples: Protecting Data Privacy Against Adversarial Learning", ICLR 2022,
section 5 (low-pass filters); the bilateral filter is that of Tomasi and Manduchi, "Bilateral Filtering for
Gray and Color Images", ICCV 1998.
Differs from the paper: its victims are trained adversarially on what the filters leave, ours as they would
be without. Values are OpenCV's, which the authors' code calls: to the last level for the first two, within
one level for bilateral. As there, test images are not filtered, and each image is filtered once. The blur
of other evaluations is another filter under the same name: MI-UE draws its width anew each time, APBench's
of 0.1 pixels leaves images as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.defense import Undefended
from bench.core.types import BadInput, Dataset

PART = 100  # images filtered at once, so that what is made of them stays in the cache


@dataclass(frozen=True)
class Filter(Undefended):
    """Filters every image by itself: subclasses say how."""

    def prepare(self, images: Tensor) -> Tensor:
        return torch.cat([self.filtered(part) for part in images.split(PART)])

    def filtered(self, images: Tensor) -> Tensor:
        """uint8 (N,C,H,W) -> the same."""
        raise NotImplementedError


@dataclass(frozen=True)
class Median(Filter):
    """The median of 3x3 pixels in each channel; pixels of the border are repeated beyond it."""

    revision: ClassVar[int] = 1

    def filtered(self, images: Tensor) -> Tensor:
        # the median of nine is that of the largest of three minima, the median of medians, the least maximum
        p = padded(images, 1, "replicate")
        low, middle, high = ordered(p[:, :, :-2], p[:, :, 1:-1], p[:, :, 2:])
        return ordered(ordered(*beside(low))[2], ordered(*beside(middle))[1], ordered(*beside(high))[0])[1]


@dataclass(frozen=True)
class Blur(Filter):
    """Binomial weights 1, 2, 1 in both directions, which is OpenCV's Gaussian of 3x3; mirrored border."""

    revision: ClassVar[int] = 1

    def filtered(self, images: Tensor) -> Tensor:
        p = padded(images, 1, "reflect").to(torch.int16)
        left, centre, right = beside(p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:])
        return ((left + 2 * centre + right + 8) >> 4).to(torch.uint8)


@dataclass(frozen=True)
class Bilateral(Filter):
    """Means over a disc with weights that fall with distance and with difference; mirrored border."""

    diameter: int = 9  # of the disc, pixels
    colour: float = 75.0  # deviation of the weight by difference: sum of |.| over channels, grey levels
    space: float = 75.0  # deviation of the weight by distance, pixels

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("colour", "space")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.diameter < 3 or not self.diameter % 2:
            raise BadInput(f"bilateral filter has diameter {self.diameter}, expected an odd number from 3 on")

    def unsuited(self, data: Dataset) -> str | None:
        least = self.diameter // 2 + 1
        return None if data.size >= least else f"{data.name} has images of under {least} pixels a side"

    def filtered(self, images: Tensor) -> Tensor:
        reach, (h, w) = self.diameter // 2, images.shape[2:]
        p, x = padded(images, reach, "reflect").float(), images.float()
        total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        for dy, dx in disc(reach):
            other = p[:, :, reach + dy : reach + dy + h, reach + dx : reach + dx + w]
            unlike, apart = (other - x).abs_().sum(1, keepdim=True), (dy * dy + dx * dx) / self.space**2
            weight = (unlike.div_(self.colour).square_().add_(apart)).mul_(-0.5).exp_()
            total.addcmul_(other, weight)
            weights += weight
        return (total / weights).round_().to(torch.uint8)


def padded(images: Tensor, by: int, mode: str) -> Tensor:
    """uint8 (N,C,H,W) -> (N,C,H+2by,W+2by)."""
    return F.pad(images.float(), (by,) * 4, mode=mode).to(torch.uint8)


def beside(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give a pixel's neighbour on the left, itself and that on the right: (N,C,H,W+2) -> (N,C,H,W) each."""
    return x[..., :-2], x[..., 1:-1], x[..., 2:]


def ordered(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort three values elementwise; many times as fast as torch.sort."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(low, c), torch.maximum(low, torch.minimum(high, c)), torch.maximum(high, c)


def disc(reach: int) -> Iterator[tuple[int, int]]:
    """Give whole offsets at a distance of up to reach pixels."""
    span = range(-reach, reach + 1)
    return ((dy, dx) for dy in span for dx in span if dy * dy + dx * dx <= reach * reach)


VARIANTS = {"median3": Median(), "blur3": Blur(), "bilateral": Bilateral()}
ALL = ()

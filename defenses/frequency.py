"""Sharpening by random kernels, and keeping low frequencies alone: against blurring, class-wise filters.

Kim and Sandoval-Segura, "Learning from Convolution-based Unlearnable Datasets", NeurIPS 2024 workshop on
New Frontiers in Adversarial Machine Learning, section 3: random sharpening kernels (rsk), the lowest 30 % of
rows and columns of a discrete cosine transform (dct-low30), and both one after the other (rsk-dct30, their
default).
Differs from the paper: sharpening keeps an image's size, since the border is repeated before it, where the
authors' loses a line on each side; random kernels come after crop and flip, theirs before, and so do the
frequencies of rsk-dct30; those of dct-low30 are kept once and rounded to whole grey levels. Test images are
left as they are, as in the authors' code, which on CIFAR-100 turns training images by up to 15 degrees as
well. Their victims' 60 epochs with gradients clipped at 5 are the run's recipe here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import dct
from torch import Generator, Tensor

from bench.core.defense import Undefended
from bench.core.pixels import to_float, to_uint8
from bench.core.types import BadInput, Dataset

PART = 500  # images transformed at once


@dataclass(frozen=True)
class LowFrequencies(Undefended):
    """The lowest frequencies of each image, all others set to zero."""

    percent: int = 30  # of rows and of columns that are kept, rounded down

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_percent(self.percent)

    def unsuited(self, data: Dataset) -> str | None:
        return too_small(data, self.percent)

    def prepare(self, images: Tensor) -> Tensor:
        parts = (low_pass(to_float(part).double(), self.percent) for part in images.split(PART))
        return torch.cat([to_uint8(part) for part in parts])


@dataclass(frozen=True)
class RandomSharpening(Undefended):
    """A cross of 3x3 drawn for each image: its centre, and around it what takes its excess over 1 back."""

    centre: float = 2.5  # mean weight of the pixel itself; its four neighbours have -(it - 1) / 4
    deviation: float = 0.1  # of each of the five weights
    percent: int | None = None  # of rows and columns of frequencies that are kept afterwards; None: all

    revision: ClassVar[int] = 1
    STEADY: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centre < 1 or self.deviation < 0:
            raise BadInput(
                f"sharpening has centre {self.centre:g} and deviation {self.deviation:g}, "
                f"expected 1 at least and 0 at least"
            )
        if self.percent is not None:
            check_percent(self.percent)

    def unsuited(self, data: Dataset) -> str | None:
        return None if self.percent is None else too_small(data, self.percent)

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        draws = self.deviation * torch.randn(5, len(x), 1, 1, 1, generator=rng, device=x.device)
        centre = self.centre + draws[0]
        up, left, right, down = (centre - 1) / 4 + draws[1:]
        p = F.pad(x, (1, 1, 1, 1), mode="replicate")
        around = up * p[:, :, :-2, 1:-1] + down * p[:, :, 2:, 1:-1]
        around += left * p[:, :, 1:-1, :-2] + right * p[:, :, 1:-1, 2:]
        x = (centre * x - around).clamp_(0, 1)
        return x if self.percent is None else low_pass(x, self.percent)


def low_pass(x: Tensor, percent: int) -> Tensor:
    """Keep the lowest percent of rows and columns of frequencies: float (N,C,H,W) in [0,1] -> the same."""
    rows, columns = (projection(n, percent, x.dtype, x.device) for n in x.shape[2:])
    return (rows @ x @ columns).clamp_(0, 1)


@cache
def projection(n: int, percent: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make the matrix (n,n) that keeps the lowest percent of n frequencies of a line."""
    waves = dct(np.eye(n), axis=0, norm="ortho")[: n * percent // 100]
    return torch.from_numpy(waves.T @ waves).to(device, dtype)


def check_percent(percent: int) -> None:
    """Raise BadInput unless some frequencies are kept, and not all."""
    if not 1 <= percent <= 99:
        raise BadInput(f"low frequencies are {percent} percent, expected 1 to 99")


def too_small(data: Dataset, percent: int) -> str | None:
    """Say that of so few frequencies none would be kept."""
    return None if data.size * percent >= 100 else f"{percent} % of {data.name}'s {data.size} rows are none"


VARIANTS = {
    "dct-low30": LowFrequencies(),
    "rsk": RandomSharpening(),
    "rsk-dct30": RandomSharpening(percent=30),
}
ALL = ()

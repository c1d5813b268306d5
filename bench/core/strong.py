"""Strong augmentation, as contrastive learners have it: crop and resize, mirror, colour jitter, gray.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, appendix
A, in the strengths of Wang et al. (see methods/aue.py). All is drawn anew for each image, and differentiable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from kornia.enhance import adjust_hue
from kornia.enhance.adjust import (
    adjust_brightness_accumulative,
    adjust_contrast_with_mean_subtraction,
    adjust_saturation_with_gray_subtraction,
)
from torch import Generator, Tensor

from bench.core.defense import Undefended
from bench.core.types import BadInput

TRIES = 10  # boxes drawn for an image; the first that fits is taken
RATIO = math.log(4 / 3)  # of a box's sides, at most


@dataclass(frozen=True)
class Strong(Undefended):
    """What a net is shown in the place of an image, each time another view."""

    strength: float = 1.0  # in [0,1]; 0: the image itself
    flip: bool = True  # whether half of the views are mirrored

    STEADY: ClassVar[bool] = False  # kornia copies numbers from the host

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise BadInput(f"strong augmentation has strength {self.strength:g}, expected 0 to 1")

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        """Give a view of each image: float32 (B,C,H,W) in [0,1] -> the same."""
        if not self.strength:
            return x
        x = cropped(x, max(1 - 0.9 * self.strength, 0.05), self.flip, rng)
        if x.shape[1] != 3:
            return x  # no colours
        x = jittered(x, self.strength, rng).where(_chosen(x, min(0.99, 0.8 * self.strength), rng), x)
        gray = rgb_to_grayscale(x).expand_as(x)
        return gray.where(_chosen(x, 0.2 * self.strength, rng), x)


def cropped(x: Tensor, least: float, flip: bool, rng: Generator) -> Tensor:
    """Cut a box out of each image, of a share of its area in [least, 1], and bring it to the image's size."""
    (b, _, height, width), device = x.shape, x.device
    area, ratio, across, down = torch.rand(4, b, TRIES, generator=rng, device=device)
    area, ratio = least + (1 - least) * area, torch.exp((2 * ratio - 1) * RATIO)
    sides = torch.stack([area * ratio * height / width, area / ratio * width / height]).sqrt()
    first = (sides <= 1).all(0).int().argmax(1, keepdim=True)
    w, h = sides.clamp(max=1).gather(2, first.expand(2, b, 1))
    places = torch.stack([across, down])[:, :, :1]  # of the box's centre, within what is free
    right, low = (2 * places - 1) * torch.stack([1 - w, 1 - h])
    if flip:
        w = w * (1 - 2 * (torch.rand(b, 1, generator=rng, device=device) < 0.5).float())
    zero = torch.zeros_like(w)
    box = torch.cat([w, zero, right, zero, h, low], 1).view(b, 2, 3)
    grid = F.affine_grid(box, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def jittered(x: Tensor, strength: float, rng: Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image: (B,3,H,W) in [0,1] -> the same."""
    draws = 2 * torch.rand(4, len(x), generator=rng, device=x.device) - 1
    brightness, contrast, saturation = 1 + 0.4 * strength * draws[:3]
    x = adjust_brightness_accumulative(x, brightness)
    x = adjust_contrast_with_mean_subtraction(x, contrast)
    x = adjust_saturation_with_gray_subtraction(x, saturation)
    view: Tensor = adjust_hue(x, 2 * math.pi * 0.1 * strength * draws[3])
    return view.clamp(0, 1)


def _chosen(x: Tensor, p: float, rng: Generator) -> Tensor:
    """Choose images with probability p: bool (B,1,1,1)."""
    return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device) < p

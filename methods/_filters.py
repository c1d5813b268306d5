"""Random filters as CUDA's, and images convolved with them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SEEDS = 2**32  # that NumPy's old generator takes
SIDE = 3  # of a filter, pixels


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

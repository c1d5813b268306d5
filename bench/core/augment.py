"""Random crop and mirror image, as the data set declares them: batched, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bench.core.types import Augmentation


def crop_flip(x: Tensor, augmentation: Augmentation, rng: Generator) -> Tensor:
    """(B,C,H,W) -> the same shape: each image shifted by up to `pad` pixels and perhaps mirrored."""
    if not augmentation.pad and not augmentation.flip:
        return x
    pad, (b, c, h, w) = augmentation.pad, x.shape
    shift = torch.randint(0, 2 * pad + 1, (2, b, 1), generator=rng, device=x.device)
    rows = shift[0] + torch.arange(h, device=x.device)
    columns = torch.arange(w, device=x.device).expand(b, w)
    if augmentation.flip:
        mirrored = torch.rand(b, 1, generator=rng, device=x.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    columns = shift[1] + columns
    padded = F.pad(x, (pad, pad, pad, pad))
    index = (rows[:, :, None] * (w + 2 * pad) + columns[:, None, :]).view(b, 1, h * w).expand(b, c, h * w)
    return padded.flatten(2).gather(2, index).view(b, c, h, w)


def flip_only(augmentation: Augmentation) -> Augmentation:
    return Augmentation(pad=0, flip=augmentation.flip)

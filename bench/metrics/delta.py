"""The perturbation as it was published."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics import Subject


def delta_of(subject: Subject, who: str) -> Tensor:
    """Published minus clean, int16 (n,C,H,W), in uint8 steps; ValueError where nothing was changed."""
    delta = subject.published.to(torch.int16) - subject.clean.to(torch.int16)
    if not bool(delta.any()):
        raise ValueError(f"{who}: delta is zero on all {len(delta)} images, expected a perturbation")
    return delta

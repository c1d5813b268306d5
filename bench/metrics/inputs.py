"""What measures check first: features, labels, and the perturbation as it was published."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.metrics import Subject

Doubles = NDArray[np.float64]


def both(subject: Subject, who: str) -> tuple[Doubles, Doubles]:
    """Features (n,d), clean and published; ValueError unless all are finite and the clean ones vary."""
    clean, published = (
        x.numpy().astype(np.float64) for x in (subject.clean_features, subject.published_features)
    )
    if clean.shape != published.shape or clean.ndim != 2:
        raise ValueError(f"{who}: features are {clean.shape} and {published.shape}, expected one (n,d)")
    for name, x in (("clean", clean), ("published", published)):
        if bad := int((~np.isfinite(x)).sum()):
            raise ValueError(f"{who}: {name} features have {bad} values that are not finite, expected none")
    if np.ptp(clean, axis=0).max(initial=0) == 0:
        raise ValueError(
            f"{who}: clean features are constant over {len(clean)} images, expected some that vary"
        )
    return clean, published


def labels_of(subject: Subject, who: str) -> NDArray[np.int64]:
    """Labels (n,); ValueError unless there are two classes or more, each with two images or more."""
    labels: NDArray[np.int64] = subject.labels.numpy()
    sizes = np.bincount(labels, minlength=subject.classes)
    if subject.classes < 2 or sizes.min() < 2:
        raise ValueError(
            f"{who}: the smallest of {subject.classes} classes has {sizes.min()} images, "
            f"expected 2 classes or more with 2 or more"
        )
    return labels


def delta_of(subject: Subject, who: str) -> Tensor:
    """Subtract clean from published, int16 (n,C,H,W), in uint8 steps; ValueError where nothing changed."""
    delta = subject.published.to(torch.int16) - subject.clean.to(torch.int16)
    if not bool(delta.any()):
        raise ValueError(f"{who}: delta is zero on all {len(delta)} images, expected a perturbation")
    return delta

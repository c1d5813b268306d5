"""Partial poisoning: which training images are published poisoned, where not all are.

The method sees all training images and crafts once, at full strength; a share of what it made is
published, and the other images as they were.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.core.files import write_atomically
from bench.core.pixels import digest
from bench.core.rng import generator, seed_for
from bench.core.types import Dataset
from bench.experiment.settings import Setting


def order(labels: Tensor, seed: int) -> Tensor:
    """Permute the images, int64 (N,), so that any beginning has about its share of each class.

    An image's place is its rank in a shuffled class over the size of that class.
    """
    shuffled = torch.randperm(len(labels), generator=generator(seed))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    counts = labels.bincount()
    own = labels[by_class]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[own]
    place = torch.empty(len(labels), dtype=torch.float64)
    place[by_class] = (rank + 0.5) / counts[own].double()
    return shuffled[place[shuffled].argsort(stable=True)]


def mask(data: Dataset, share: float, seed: int) -> Tensor:
    """Choose the images that are published poisoned: bool (N,) on the CPU, class-balanced.

    Drawn from the seed and the data's digest alone, so that it is the same for every method and
    repetition; what is poisoned at a share is poisoned at every larger one.
    """
    labels = data.train.labels.cpu()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    first = order(labels, seed_for(seed, "share", data.digest))[: round(share * len(labels))]
    chosen[first] = True
    return chosen


def mixed(clean: Tensor, poison: Tensor, mask: Tensor) -> Tensor:
    """Take the poison where the mask is on, and the clean images elsewhere: uint8 (N,C,H,W)."""
    if bool(mask.all()):
        return poison  # no copy: it may be mapped from disk
    return torch.where(mask.to(clean.device)[:, None, None, None], poison, clean)


def mask_digest(mask: Tensor) -> str | None:
    """Return the sha256 of a mask; None where all images are poisoned."""
    return None if bool(mask.all()) else digest(mask)


def keep_mask(data: Dataset, setting: Setting, folder: Path) -> None:
    """Write the mask that a run's rows name, a bool array in training order, where not all are poisoned."""
    chosen = mask(data, setting.share, setting.seed)
    if (named := mask_digest(chosen)) is None:
        return
    buffer = io.BytesIO()
    np.save(buffer, chosen.numpy())
    write_atomically(folder / f"share-{setting.share:g}-{named[:8]}.npy", buffer.getvalue())

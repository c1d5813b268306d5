"""Masks: which training images are published poisoned, where not all are."""

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
from bench.experiment import partial
from bench.experiment.partial import Partial


def order(labels: Tensor, seed: int) -> Tensor:
    """int64 (N,): a permutation of the images, any beginning of which has about its share of each class.

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
    """bool (N,) on the CPU, true where an image is published poisoned: class-balanced.

    Drawn from the seed and the data's digest alone, so that it is the same for every method and
    repetition; what is poisoned at a share is poisoned at every larger one.
    """
    labels = data.train.labels.cpu()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    first = order(labels, seed_for(seed, "share", data.digest))[: partial.poisoned(share, len(labels))]
    chosen[first] = True
    return chosen


def mixed(clean: Tensor, poison: Tensor, mask: Tensor) -> Tensor:
    """uint8 (N,C,H,W): the poison where the mask is on, and the clean images elsewhere."""
    if bool(mask.all()):
        return poison  # no copy: it may be mapped from disk
    return torch.where(mask.to(clean.device)[:, None, None, None], poison, clean)


def mask_digest(mask: Tensor) -> str | None:
    """sha256 of the mask; None where all images are poisoned."""
    return None if bool(mask.all()) else digest(mask)


def keep(data: Dataset, asked: Partial, seed: int, folder: Path) -> None:
    """Write the mask that a run's rows name, a bool array in training order, where not all are poisoned."""
    chosen = mask(data, asked.share, seed)
    if (named := mask_digest(chosen)) is None:
        return
    buffer = io.BytesIO()
    np.save(buffer, chosen.numpy())
    write_atomically(folder / f"share-{asked.share:g}-{named[:8]}.npy", buffer.getvalue())

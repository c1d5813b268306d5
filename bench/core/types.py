"""The nouns of the suite: images, how they may be augmented, how networks are trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

# plugins take every noun from here
from bench.core.errors import BadInput as BadInput  # noqa: PLC0414
from bench.core.recipe import ADDED as ADDED  # noqa: PLC0414
from bench.core.recipe import Augmentation as Augmentation  # noqa: PLC0414
from bench.core.recipe import Recipe as Recipe  # noqa: PLC0414
from bench.core.recipe import check_positive as check_positive  # noqa: PLC0414


@dataclass(frozen=True)
class Split:
    """Labelled images that share one size, on the device they are used on."""

    images: Tensor  # uint8 (N,C,H,W)
    labels: Tensor  # int64 (N,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> Split:
        return Split(self.images[rows], self.labels[rows])

    def to(self, device: torch.device) -> Split:
        return Split(self.images.to(device), self.labels.to(device))

    def clone(self) -> Split:
        """To lend to a plugin, which may be careless."""
        return Split(self.images.clone(), self.labels.clone())


@dataclass(frozen=True)
class Dataset:
    """Everything the harness knows of a data set; never a path."""

    name: str
    digest: str  # sha256 over images and labels of train, val and test, and over the classes
    train: Split
    val: Split  # cut from the training images before crafting; never published
    test: Split
    classes: tuple[str, ...]
    augmentation: Augmentation
    synthetic: bool = False
    resize: str = "none"  # the rule by which images were brought to one size
    reference: Split | None = None  # further clean images, for defenses that use some; classes take turns
    reference_digest: str | None = None  # sha256 over its images and labels
    limit: int | None = None  # training images kept, validation included
    imbalance: float = 1.0  # of these, largest class over smallest as they were drawn; 1: all were kept
    rows: Tensor | None = None  # int64, where train's images stand among all training images; None: as here
    pool: int | None = None  # how many training images there are in all; None: those of train
    names: tuple[str, ...] | None = None  # of all of these, class/file, where they are files
    notes: tuple[str, ...] = ()  # what its reader has to say: copies, labels that were renumbered

    def to(self, device: torch.device) -> Dataset:
        splits = {name: getattr(self, name).to(device) for name in ("train", "val", "test")}
        reference = None if self.reference is None else self.reference.to(device)
        return replace(self, **splits, reference=reference)

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        return self.train.images.shape[-1]

"""The nouns of the suite: images, how they may be augmented, how networks are trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from bench.core.errors import BadInput as BadInput  # noqa: PLC0414 (plugins take every noun from here)


def check_positive(thing: object, names: Iterable[str]) -> None:
    """BadInput unless these numbers of a plugin are above 0."""
    for name in names:
        value = getattr(thing, name)
        if not value > 0:
            raise BadInput(f"{type(thing).__name__}: {name} is {value:g}, expected above 0")


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


@dataclass(frozen=True)
class Augmentation:
    """What a data set says may be done to an image without changing its label."""

    pad: int = 4  # random crop after padding by so many zero pixels; 0: none
    flip: bool = True  # random mirror image, left to right


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
    limit: int | None = None  # training images kept, validation included
    rows: Tensor | None = None  # int64, where train's images stand among all training images; None: as here
    pool: int | None = None  # how many training images there are in all; None: those of train

    def to(self, device: torch.device) -> Dataset:
        splits = {name: getattr(self, name).to(device) for name in ("train", "val", "test")}
        return replace(self, **splits)

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        return self.train.images.shape[-1]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; surrogates and victims each have one."""

    epochs: int = 30
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    nesterov: bool = False
    schedule: Literal["cosine", "steps", "halvings", "constant"] = "cosine"  # set at every step
    # shares of the training at which lr drops, with "steps" to a tenth and with "halvings" to half
    milestones: tuple[float, ...] = ()
    final_lr: float = 0.0  # with "cosine": where it ends
    clip: float | None = None  # largest gradient norm

    def __post_init__(self) -> None:
        check_positive(self, ("epochs", "batch", "lr"))
        if not 0 <= self.momentum < 1 or self.weight_decay < 0 or (self.nesterov and not self.momentum):
            raise BadInput(f"a recipe needs momentum in [0,1) and weight decay of 0 or more, got {self}")
        if self.clip is not None and self.clip <= 0:
            raise BadInput(f"a recipe's clip is {self.clip:g}, expected above 0 or none")

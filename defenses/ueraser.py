"""UEraser: train on the view of each image, of several heavily augmented ones, with the highest loss.

Qin et al., "Learning the Unlearnable: Adversarial Augmentations Suppress Unlearnable Example Attacks",
arXiv 2303.15127, section 3: plasma brightness and contrast, channel shuffle, TrivialAugment.
Differs from the paper: the first 60 of 200 epochs, in which K = 5 views compete, are stated as a share of
the training; TrivialAugment is kornia's, one operation a batch, as in the authors' library; each view is a
batch of its own, where that library's loss passes all views as one batch; the plasma is ours, with kornia's
distribution (see defenses/_plasma.py). Plasma's p is the library's; the authors' notebook has 1: uer-p1.
The variants with JPEG are left out. quick has two views, in the first 0.15 of the training (uer-max:
throughout).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import kornia.augmentation as K
import torch
import torch.nn.functional as F
from kornia.augmentation.auto import TrivialAugment
from torch import Generator, Tensor, nn

from bench.core.defense import Undefended
from bench.core.rng import global_rng
from bench.core.types import Dataset
from defenses._plasma import brightness, contrast


@cache
def policy() -> nn.Module:
    """Make the authors' augmentations after plasma."""
    return nn.Sequential(K.RandomChannelShuffle(p=0.5), TrivialAugment())


@dataclass(frozen=True)
class UEraser(Undefended):
    """The worst of several augmented views, early in the training; one view later."""

    draws: int = 5  # views of each image that compete
    until: float = 0.3  # share of the training in which the views compete
    p: float = 0.5  # probability of each plasma transform

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("draws",)
    PROFILES: ClassVar[dict[str, dict[str, object]]] = {"quick": {"draws": 2, "until": 0.15}}

    @property
    def cost(self) -> float:
        return 1.5 * (1 + self.until * (self.draws - 1))  # a view costs about half a small net's step

    def unsuited(self, data: Dataset) -> str | None:
        if data.channels == 3:
            return None
        return f"{data.name} has {data.channels} channel(s); channel shuffle and colour operations need 3"

    def view(self, x: Tensor, rng: Generator) -> Tensor:
        """One augmented view: float32 (B,3,H,W) in [0,1] -> the same."""
        with global_rng(rng), torch.no_grad():
            x = brightness(x, roughness=(0.3, 0.7), intensity=(0.5, 1.0), p=self.p)
            view: Tensor = policy()(contrast(x, roughness=(0.3, 0.7), p=self.p))
        return view.clamp(0, 1)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        draws = self.draws if progress < self.until else 1
        losses = [F.cross_entropy(net(self.view(x, rng)), y, reduction="none") for _ in range(draws)]
        return torch.stack(losses).amax(0).mean()


@dataclass(frozen=True)
class Lite(UEraser):
    """One augmented view, throughout."""

    draws: int = 1

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[dict[str, dict[str, object]]] = {}


@dataclass(frozen=True)
class Worst(UEraser):
    """The worst of several augmented views, throughout."""

    until: float = 1.0

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[dict[str, dict[str, object]]] = {"quick": {"draws": 2}}


VARIANTS = {"uer": UEraser(), "uer-lite": Lite(), "uer-max": Worst(), "uer-p1": UEraser(p=1.0)}
ALL = ("uer",)

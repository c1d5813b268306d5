"""Contrastive learning: a net that learns from the published images without labels, then a linear probe with.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, section 2, as
Wang et al., "Efficient Availability Attacks against Supervised and Contrastive Learning Simultaneously",
NeurIPS 2024, evaluate availability attacks: 1,000 epochs of batch 512, learning rate 0.5, temperature 0.5.
Two strong views of each image, InfoNCE of their projections; the probe is a softmax regression on features of
the published images and their labels. Smaller profiles train for 40 to 300 epochs. The row's curve says
nothing: until the probe is fitted the last layer is the untrained one. Of the drawn digits it learns ground
and colour, which tell images apart and say nothing of the class: clean images stay at chance there, so that
no cell has a verdict. 2,000 photographs of CIFAR-10 are enough to be better than an untrained net.
Differs from the paper: both views are of one crop and mirror image of the harness, and none is mirrored
again; boxes have 0.1 of the area at least, theirs 0.08; their projections come from 2,048 units with batch
norms, ours from as many as there are features, without; their learning rate warms up for 10 epochs; the probe
is fitted by L-BFGS to two crops of each image, theirs by SGD to whole images; one optimiser and recipe for
all nets, whatever they have by themselves. Gray images are cropped alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.rng import global_rng
from bench.core.strong import Strong
from bench.core.types import BadInput, Recipe, Split
from defenses._last_layer import fit_last_layer, head_of


@dataclass(frozen=True)
class SimCLR(Undefended):
    """Learn that two views of an image are alike, then read the classes off linearly."""

    training: Recipe = field(default=Recipe(epochs=1000, batch=512, lr=0.5, weight_decay=1e-4))
    strength: float = 1.0  # of the views' augmentation, in [0,1]
    temperature: float = 0.5  # that similarities, in [-1,1], are divided by
    width: int = 128  # of the projections
    views: int = 2  # crops of each image that the probe sees
    steps: int = 300  # of L-BFGS, at most

    revision: ClassVar[int] = 1
    of_shown: ClassVar[tuple[str, ...]] = ("training",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("temperature", "width", "views", "steps")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"training.epochs": 40, "training.batch": 128, "training.lr": 0.125},
        "cifar-cpu": {"training.epochs": 100, "training.batch": 256, "training.lr": 0.25},
        "reference": {"training.epochs": 300, "training.batch": 256, "training.lr": 0.25},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.strength <= 1:
            raise BadInput(f"SimCLR's views have strength {self.strength:g}, expected above 0, at most 1")

    @property
    def cost(self) -> float:
        return 3.0  # two views

    def recipe(self, victim: Recipe) -> Recipe:
        return self.training

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        head = head_of(net)
        n = head.in_features
        with global_rng(kit.rng("projector")):
            projector = nn.Sequential(nn.Linear(n, n), nn.ReLU(inplace=True), nn.Linear(n, self.width))
        net.projector = projector.to(head.weight.device)

    def loss(self, net: Any, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        with torch.no_grad():
            views = torch.cat([Strong(self.strength, flip=False).augment(x, rng) for _ in range(2)])
        return info_nce(net.projector(net.features(views)), self.temperature)

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        del net.projector
        fit_last_layer(net, shown, kit, views=self.views, steps=self.steps)


def info_nce(z: Tensor, temperature: float) -> Tensor:
    """Mean over both views of all images: (2B,D), first all first views, then all second ones.

    Each view is told from the other images' by its cosine with its own image's other view.
    """
    z = F.normalize(z)
    n = len(z)
    alike = (z @ z.T / temperature).masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), -torch.inf)
    return F.cross_entropy(alike, torch.arange(n, device=z.device).roll(n // 2))


VARIANTS = {"simclr": SimCLR()}
ALL = ()

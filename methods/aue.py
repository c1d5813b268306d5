"""AUE: error-minimising noise that is learnt and sought under strong augmentation.

Wang, Zhu, Gao, "Efficient Availability Attacks against Supervised and Contrastive Learning
Simultaneously", NeurIPS 2024, section 4: supervised crafting that covers contrastive learners.
Differs from the paper: the strength is that of CIFAR-10 (0.6; 1 for CIFAR-100); views are mirrored where
the data set allows it; colours are changed in one order (brightness, contrast, saturation, hue), where the
official code draws it for each batch; boxes are not rounded to whole pixels; the learning rate falls at
every step, not once an epoch; the net normalises with fixed constants, the official one not at all.
Smaller profiles have fewer rounds and smaller batches; quick fewer, longer steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import pgd
from bench.core.pixels import to_float
from bench.core.strong import Strong
from bench.core.train import Loss
from bench.core.types import Recipe, Split
from methods._cotrained import Perturb, cotrained


@dataclass(frozen=True)
class AUE(Method):
    """Error-minimising noise of strongly augmented images, with a co-trained net."""

    surrogate: Recipe = field(default=Recipe(epochs=60, weight_decay=1e-4, final_lr=1e-6))  # epochs = rounds
    strength: float = 0.6  # of the augmentation, in [0,1]
    steps: int = 5  # sign steps on every image in each round
    step: float = 0.1  # of eps, a step
    batch: int = 128  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"surrogate.epochs": 15, "surrogate.batch": 64, "steps": 3, "step": 0.2},
        "cifar-cpu": {"surrogate.epochs": 30, "surrogate.batch": 64},
        "reference": {"surrogate.epochs": 30, "surrogate.batch": 64},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs * (1 + PERTURBING * self.steps)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        """One epoch of training on views of the perturbed images, one pass of perturbing them, and so on."""
        views, rng = Strong(self.strength, lab.augmentation.flip), lab.rng("augment")

        def objectives(net: nn.Module, delta: Tensor) -> tuple[Loss, Perturb]:
            def loss(rows: Tensor, progress: float) -> Tensor:
                z = views.augment(to_float(clean.images[rows]) + delta[rows], rng)
                return F.cross_entropy(net(z), clean.labels[rows])

            return loss, lambda judge, done: self._perturb(judge, clean, delta, views, rng)

        return cotrained(clean, lab, self.surrogate, rng, objectives, steady=views.STEADY, falls=True)

    def _perturb(self, net: nn.Module, clean: Split, delta: Tensor, views: Strong, rng: Generator) -> None:
        """Lower the net's loss on views of every image, another one at each step, in place in delta."""
        for rows in torch.arange(len(clean), device=delta.device).split(self.batch):
            x, y = to_float(clean.images[rows]), clean.labels[rows]
            delta[rows] = pgd(
                lambda z, y=y: F.cross_entropy(net(views.augment(z, rng)), y, reduction="sum"),  # type: ignore[misc]
                x,
                delta[rows],
                eps=self.eps,
                step=self.step * self.eps,
                steps=self.steps,
            )


VARIANTS = {"aue": AUE()}
ALL = ()

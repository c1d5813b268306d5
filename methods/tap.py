"""TAP: push every image towards another class, as a net trained on clean images sees it.

Fowl et al., "Adversarial Examples Make Strong Poisons", NeurIPS 2021, sections 3.2 and 4.
Differs from the paper: the differentiable augmentation, drawn anew at every step, is the data set's
declared crop and flip, by whole pixels (the official one shifts by fractions of pixels); the learning-rate
drops are at 15/40, 25/40 and 35/40 of the training; of the restarts, which share one surrogate, each image
keeps the one with the lowest loss without augmentation (the official code keeps one restart for all images,
by the mean loss with it); the start is cut to the pixel range; the net normalises with fixed constants, not
with the data set's. Smaller profiles have one restart and fewer steps, in quick longer ones and fewer
epochs, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.types import Recipe, Split

SURROGATE = Recipe(epochs=40, nesterov=True, schedule="steps", milestones=(0.375, 0.625, 0.875))

HIT = 0.5  # share of images taken for their target class below which the attack failed


@dataclass(frozen=True)
class TAP(Method):
    """Class-targeted adversarial examples of a clean surrogate."""

    surrogate: Recipe = field(default=SURROGATE)
    steps: int = 250  # sign steps on every image, from each start
    step: float = 0.05  # of eps, a step
    shift: int = 1  # target class = (y + shift) mod classes
    restarts: int = 8  # the one with the lowest final loss is kept, for each image
    batch: int = 512  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "restarts", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"surrogate.epochs": 24, "steps": 60, "step": 0.2, "restarts": 1},
        "cifar-cpu": {"steps": 100, "restarts": 1},
        "reference": {"steps": 100, "restarts": 1},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs + PERTURBING * self.steps * self.restarts

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        net, rng = frozen(lab.trained(clean, self.surrogate)), lab.rng("attack")

        def perturb(rows: Tensor) -> Tensor:
            target = (clean.labels[rows] + self.shift) % lab.classes
            return self._best(net, to_float(clean.images[rows]), target, lab, rng)

        delta = lab.perturbed(clean, self.batch, rng, perturb)
        targets = (clean.labels + self.shift) % lab.classes
        if (hit := lab.taken(net, clean, delta, targets, self.batch)) < HIT:
            lab.unreached(
                f"the surrogate takes {100 * hit:.0f} % of the images for their target class, expected "
                f"{100 * HIT:.0f} or more"
            )
        return delta

    def _best(self, net: nn.Module, x: Tensor, target: Tensor, lab: Lab, rng: Generator) -> Tensor:
        def objective(z: Tensor) -> Tensor:
            return F.cross_entropy(net(crop_flip(z, lab.augmentation, rng)), target, reduction="sum")

        best, lowest = torch.zeros_like(x), torch.full((len(x),), torch.inf, device=x.device)
        for _ in range(self.restarts):
            start = torch.empty_like(x).normal_(0, self.eps, generator=rng).clamp_(-self.eps, self.eps)
            start = (x + start).clamp_(0, 1).sub_(x)
            found = pgd(objective, x, start, eps=self.eps, step=self.step * self.eps, steps=self.steps)
            with torch.no_grad():
                loss = F.cross_entropy(net(x + found), target, reduction="none")
            better = loss < lowest
            best = torch.where(better[:, None, None, None], found, best)
            lowest = torch.where(better, loss, lowest)
        return best


VARIANTS = {"tap": TAP()}

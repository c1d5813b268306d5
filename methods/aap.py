"""AAP: push strongly augmented images towards another class, as a net that learned such views sees them.

Wang, Zhu, Gao, "Efficient Availability Attacks against Supervised and Contrastive Learning
Simultaneously", NeurIPS 2024, section 4: TAP under the augmentation of contrastive learners.
Differs from the paper: the strength is that of CIFAR-10 (0.4; 0.8 for CIFAR-100), and the targeted attack
alone is here; views are mirrored where the data set allows it; colours are changed in one order
(brightness, contrast, saturation, hue), where the official code draws it; boxes are not rounded to whole
pixels; the net learns from views in float, where the official one has them in uint8; the learning rate
rises and falls at every step, not once an epoch, and its cosine is of the whole training, where the
official one begins when the rise is over; the net normalises with fixed constants, the official one
not at all. Smaller profiles have fewer epochs and steps; quick smaller batches, a lower learning rate and
longer steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.strong import Strong
from bench.core.types import Augmentation, Recipe, Split

SURROGATE = Recipe(epochs=40, lr=0.5, weight_decay=1e-4, final_lr=1e-6, warmup=0.25)

HIT = 0.5  # share of images taken for their target class below which the attack failed


@dataclass(frozen=True)
class AAP(Method):
    """Class-targeted adversarial examples of strongly augmented images."""

    surrogate: Recipe = field(default=SURROGATE)
    strength: float = 0.4  # of the augmentation, in [0,1], of what is learnt and of what is attacked
    steps: int = 250  # sign steps on every image, from the image itself
    step: float = 0.01  # of eps, a step
    shift: int = 1  # target class = (y + shift) mod classes
    batch: int = 128  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.epochs": 14,
            "surrogate.batch": 64,
            "surrogate.lr": 0.1,
            "steps": 45,
            "step": 0.15,
        },
        "cifar-cpu": {"surrogate.epochs": 20, "steps": 200},
        "reference": {"surrogate.epochs": 20, "steps": 200},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs + PERTURBING * self.steps

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        views, alone = Strong(self.strength, lab.augmentation.flip), Augmentation(pad=0, flip=False)
        net = frozen(replace(lab, augmentation=alone).trained(clean, self.surrogate, views))
        rng = lab.rng("attack")

        def perturb(rows: Tensor) -> Tensor:
            x, target = to_float(clean.images[rows]), (clean.labels[rows] + self.shift) % lab.classes
            return pgd(
                lambda z: F.cross_entropy(net(views.augment(z, rng)), target, reduction="sum"),
                x,
                torch.zeros_like(x),
                eps=self.eps,
                step=self.step * self.eps,
                steps=self.steps,
            )

        delta = lab.perturbed(clean, self.batch, rng, perturb)
        targets = (clean.labels + self.shift) % lab.classes
        if (hit := lab.taken(net, clean, delta, targets, self.batch)) < HIT:
            lab.unreached(
                f"the surrogate takes {100 * hit:.0f} % of the images for their target class, expected "
                f"{100 * HIT:.0f} or more"
            )
        return delta


VARIANTS = {"aap": AAP()}
ALL = ()

"""HYPO: lower the loss of a net that was trained adversarially for a short time, so that victims rely on it.

Tao, Feng, Wei, Yi, Huang, Chen, "Can Adversarial Training Be Manipulated By Non-Robust Features?", NeurIPS
2022, sections 3 and 4: hypocritical perturbations. It aims at the robust accuracy of victims that are
trained adversarially: that falls, while their accuracy on clean images may rise.
Differs from the paper: the differentiable augmentation, drawn anew at every step, is the data set's
declared crop and flip, by whole pixels (the official one shifts by up to 8, by fractions of pixels); the
surrogate learns from all images, where the official code holds 1,000 of them out; it normalises with fixed
constants. Smaller profiles attack it in fewer, longer steps while it learns; quick takes
fewer, longer steps on images, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.adversarial import Robust
from bench.core.augment import crop_flip
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.types import Recipe, Split

RIGHT = 0.9  # share of perturbed images that the surrogate takes for their class below which crafting failed


@dataclass(frozen=True)
class HYPO(Method):
    """Error-minimising noise against a briefly robust surrogate that stays as it is."""

    # the first tenth of a training whose first drop of the learning rate comes at three quarters
    surrogate: Recipe = field(default=Recipe(epochs=10, schedule="constant"))
    robust: Robust = field(default=Robust(radius=2 / 255, step=0.5 / 255))
    steps: int = 100  # sign steps on every image
    step: float = 0.1  # of eps, a step
    batch: int = 256  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"robust.steps": 2, "robust.step": 1.5 / 255, "steps": 40, "step": 0.2},
        "cifar-cpu": {"robust.steps": 4, "robust.step": 1 / 255},
        "reference": {"robust.steps": 4, "robust.step": 1 / 255},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs * self.robust.cost + PERTURBING * self.steps

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        net, rng = frozen(lab.trained(clean, self.surrogate, self.robust)), lab.rng("attack")

        def lower(rows: Tensor) -> Tensor:
            x, y = to_float(clean.images[rows]), clean.labels[rows]
            return pgd(
                lambda z: F.cross_entropy(net(crop_flip(z, lab.augmentation, rng)), y, reduction="sum"),
                x,
                torch.zeros_like(x),
                eps=self.eps,
                step=self.step * self.eps,
                steps=self.steps,
            )

        delta = lab.perturbed(clean, self.batch, rng, lower)
        if (right := lab.taken(net, clean, delta, clean.labels, self.batch)) < RIGHT:
            lab.unreached(
                f"the surrogate takes {100 * right:.0f} % of the perturbed images for their class, expected "
                f"{100 * RIGHT:.0f} or more"
            )
        return delta


VARIANTS = {"hypo": HYPO()}
ALL = ()

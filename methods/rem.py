"""REM: lower the loss of the worst images near each perturbed one; SEM: of random images near it.

Fu et al., "Robust Unlearnable Examples: Protecting Data Against Adversarial Learning", ICLR 2022,
section 4. sem: Liu et al., "Stable Unlearnable Example: Enhancing the Robustness of Unlearnable Examples
via Stable Error-Minimizing Noise", AAAI 2024, section 4: in its official code the attack inside the search
is one uniform draw, all else is REM's; the net still learns from attacked images.
Differs from the paper: 5,000 batches of 128 are 12.8 epochs of CIFAR-10, here 13, and the official code
drops the last, smaller batch of each; in its final search, too, which leaves 80 of 50,000 images with
older noise, where here all are searched with the final net. Perturbations stay in the pixel range, where
the official code clips the sum and takes no gradient of what is clipped. Images are cropped and mirrored
as the data set declares. The net normalises with fixed constants.
Smaller profiles search noise on one crop a step, have smaller batches and attack in fewer, longer steps;
rem learns for fewer epochs, sem in quick alone; quick searches in fewer, longer steps, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.adversarial import Robust, raised
from bench.core.augment import crop_flip
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float, to_uint8
from bench.core.train import Trainer, batches
from bench.core.types import Augmentation, Recipe, Split
from methods._cotrained import check_read, resumed

SURROGATE = Recipe(epochs=13, schedule="steps", milestones=(0.4, 0.8))

QUICK: dict[str, object] = {
    "surrogate.batch": 32,
    "steps": 8,
    "step": 0.25,
    "crops": 1,
}
SMALLER: dict[str, object] = {"surrogate.batch": 64, "crops": 1}
ONE: dict[str, object] = {
    "robust.steps": 1,
    "robust.step": 5 / 255,
}  # from a random start one long step is nearly as good


@dataclass(frozen=True)
class REM(Method):
    """Error-minimising noise that withstands what lies near it."""

    surrogate: Recipe = field(default=SURROGATE)
    steps: int = 10  # sign steps on every image of a batch, from a random start
    step: float = 0.2  # of eps, a step
    crops: int = 5  # of each image, drawn anew in every sign step
    # what the net learns from, and in rem what each crop becomes
    robust: Robust = field(default=Robust(radius=4 / 255, step=0.8 / 255))
    batch: int = 128  # images perturbed at once in the end

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "crops", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": QUICK | ONE | {"surrogate.epochs": 5},
        "cifar-cpu": SMALLER | ONE | {"surrogate.epochs": 9},
        "reference": SMALLER | ONE | {"surrogate.epochs": 9},
    }

    @property
    def inner(self) -> int:
        """Steps of the attack on each crop inside a search; 0: its random start alone."""
        return self.robust.steps

    @property
    def passes(self) -> float:
        search = PERTURBING * self.steps * self.crops * (1 + self.inner)
        return self.surrogate.epochs * (search + self.robust.cost) + search

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        """Train a net on batches that are perturbed and attacked anew, then perturb all images once."""
        net, rng = self._trained(clean, lab), lab.rng("search")

        def perturb(rows: Tensor) -> Tensor:
            return self.search(net, to_float(clean.images[rows]), clean.labels[rows], lab.augmentation, rng)

        return lab.perturbed(clean, self.batch, rng, perturb)

    def search(
        self, net: nn.Module, x: Tensor, y: Tensor, augmentation: Augmentation, rng: Generator
    ) -> Tensor:
        """Find the noise of images, from a random start, by the net's loss near their crops.

        x: float32 (B,C,H,W) in [0,1]; y: labels (B,). The gradient is taken where the loss is, and goes
        back to the noise through the crop alone, not through the attack.
        """

        def objective(z: Tensor) -> Tensor:
            loss = torch.zeros((), device=z.device)
            for _ in range(self.crops):
                crop = crop_flip(z, augmentation, rng)
                away = self.attacked(net, crop.detach(), y, rng) - crop.detach()
                loss = loss + F.cross_entropy(net(crop + away), y, reduction="sum")
            return loss

        start = torch.empty_like(x).uniform_(-self.eps, self.eps, generator=rng)
        start = (x + start).clamp_(0, 1).sub_(x)
        return pgd(objective, x, start, eps=self.eps, step=self.step * self.eps, steps=self.steps)

    def attacked(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator) -> Tensor:
        """Find what lies near images x, in a search: as x, float32 (B,C,H,W) in [0,1]."""
        by = self.robust
        return raised(net, x, y, rng, radius=by.radius, step=by.step, steps=self.inner)

    def _trained(self, clean: Split, lab: Lab) -> nn.Module:
        """Train the net; what is returned can be attacked."""
        trainer, rng = Trainer(lab.net(), self.surrogate), lab.rng("training")
        kept = lab.checkpoint.part("net")
        done, epochs = resumed(trainer, rng, kept.load()), self.surrogate.epochs
        per_epoch, order = math.ceil(len(clean) / self.surrogate.batch), lab.order("surrogate")
        for epoch in range(done // per_epoch, epochs):
            rows = batches(len(clean), self.surrogate.batch, order, epoch, clean.labels.device)
            for at in range(done - epoch * per_epoch, per_epoch):
                progress = done / (epochs * per_epoch)
                self._learn(trainer, clean.take(rows[at]), lab, rng, progress)
                done += 1
                if kept.due() or done == epochs * per_epoch:
                    kept.save({"trainer": trainer.state(), "rng": rng.get_state(), "done": done})
                lab.tick(progress / 2, f"epoch {epoch + 1}")
        check_read(trainer.net, lab)
        return frozen(trainer.net)

    def _learn(self, trainer: Trainer, some: Split, lab: Lab, rng: Generator, progress: float) -> None:
        """Perturb a batch as it would be published, crop it, and learn from its attacked crops."""
        x, y = to_float(some.images), some.labels
        delta = self.search(frozen(trainer.net), x, y, lab.augmentation, rng)
        z = crop_flip(to_float(to_uint8(x + delta)), lab.augmentation, rng)
        trainer.net.train()
        trainer.step(self.robust.loss(trainer.net, z, y, rng, progress), progress)


@dataclass(frozen=True)
class SEM(REM):
    """Error-minimising noise that withstands random noise near it."""

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": QUICK | {"surrogate.epochs": 6, "robust.steps": 2, "robust.step": 3 / 255},
        "cifar-cpu": SMALLER | {"robust.steps": 4, "robust.step": 2 / 255},
        "reference": SMALLER | {"robust.steps": 4, "robust.step": 2 / 255},
    }

    @property
    def inner(self) -> int:
        return 0


VARIANTS = {"rem": REM(), "sem": SEM()}
ALL = ()

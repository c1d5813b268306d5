"""MI-UE: make the features of a class's perturbed images alike, to lower mutual information.

Zhu, Miao, Dong, Gao, "Why Do Unlearnable Examples Work: A Novel Perspective of Mutual Information",
ICLR 2026 (arXiv 2603.03725), section 5 and its appendix on settings.
Differs from the paper: the net normalises with fixed constants, not with ImageNet's; the images that it
learns from are cut to the pixel range, which the official code leaves them to exceed; the published images
are rounded to uint8, where the official evaluation truncates, as mi-ue-trunc does. The schedule of the step,
the poison batch, the flip before delta and the distance weight (0 in its README's command: mi-ue-cos)
follow the official recipe as published, with the training batch of that command (128).
quick crops the images that the surrogate learns from, after delta is added: with few images and a small net,
what is learnt in place alone does not survive the victim's own crops. Its steps are fewer, longer, all alike,
and half of its images are compared with each other at once: of 1,900, the last of batches of 512 has only
364, with few of each class to compare.
Smaller profiles have fewer rounds, cifar-cpu and reference smaller batches.
mi-ue-at{radius}, the radius in grey levels of 255, trains the surrogate adversarially, as the official code
can and its README does not: PGD-10 from the perturbed image, with steps of 1.6/255. There 1.6 is not divided
by 255, so that a step crosses the ball (--set mi-ue-at4.robust.step=1.6), the radius is 8/255 unless it is
given, and what is attacked may exceed the pixel range. Smaller profiles take fewer of these steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.adversarial import Robust
from bench.core.augment import crop_flip, flip_only
from bench.core.method import PERTURBING, PUBLISHING, Lab, Method
from bench.core.pgd import pgd
from bench.core.pixels import to_float, truncated
from bench.core.train import Loss, batches
from bench.core.types import ADDED, Recipe, Split
from methods._cotrained import Perturb, cotrained


@dataclass(frozen=True)
class MIUE(Method):
    """Intra-class cosine similarity and distance of a co-trained net's features."""

    surrogate: Recipe = field(default=Recipe(epochs=100, weight_decay=1e-4, final_lr=1e-6))  # epochs = rounds
    steps: int = 10  # sign steps on every image in each round
    first_step: float = 0.025  # of eps, a step in the first round: 0.2/255
    last_step: float = 0.05  # approached linearly: a round more would have it
    temperature: float = 0.1  # that cosines are divided by
    distance: float = 0.1  # weight of the distance term
    batch: int = 512  # images compared with each other
    augment: bool = field(default=False, metadata=ADDED)  # whether the surrogate learns from crops, too
    # nearest: rounded, as all methods are; truncate: cut to grey levels, as the official evaluation
    rounding: Literal["nearest", "truncate"] = field(default="nearest", metadata=PUBLISHING)

    revision: ClassVar[int] = 2  # 1: the last round had last_step
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "first_step", "last_step", "temperature", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.epochs": 24,
            "surrogate.batch": 128,
            "augment": True,
            "steps": 5,
            "first_step": 0.1,
            "last_step": 0.1,
            "batch": 950,
        },
        "cifar-cpu": {"surrogate.epochs": 20, "surrogate.batch": 64},
        "reference": {"surrogate.epochs": 20, "surrogate.batch": 64},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs * (1 + PERTURBING * self.steps)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        """One epoch of training on the perturbed images, one pass of perturbing them, and so on."""
        rng, flip = lab.rng("flip"), flip_only(lab.augmentation)

        def objectives(net: nn.Module, delta: Tensor) -> tuple[Loss, Perturb]:
            def loss(rows: Tensor, progress: float) -> Tensor:
                x = crop_flip(to_float(clean.images[rows]), flip, rng)  # flipped before delta is added
                z = (x + delta[rows]).clamp_(0, 1)
                if self.augment:
                    z = crop_flip(z, lab.augmentation, rng)
                z = self.learnt(net, z, clean.labels[rows])
                return F.cross_entropy(net(z), clean.labels[rows])

            return loss, lambda judge, done: self._perturb(judge, clean, delta, lab, rng, done)

        return cotrained(clean, lab, self.surrogate, rng, objectives, steady=True, falls=False)

    def publish(self, delta: Tensor) -> Tensor:
        return truncated(delta).clamp_(-self.eps, self.eps) if self.rounding == "truncate" else delta

    def learnt(self, net: nn.Module, z: Tensor, y: Tensor) -> Tensor:
        """Give what the net learns from in the place of perturbed images (B,C,H,W) in [0,1]."""
        return z

    def _perturb(
        self, net: nn.Module, clean: Split, delta: Tensor, lab: Lab, rng: Generator, done: int
    ) -> None:
        at = done / self.surrogate.epochs
        step = self.eps * (self.first_step + at * (self.last_step - self.first_step))
        for rows in batches(len(clean), self.batch, lab.order("compared"), done, delta.device):
            x = crop_flip(to_float(clean.images[rows]), flip_only(lab.augmentation), rng)
            same = clean.labels[rows][:, None] == clean.labels[rows]
            delta[rows] = pgd(
                lambda z, same=same: self.objective(net.features(z), same),  # type: ignore[misc,operator]
                x,
                delta[rows],
                eps=self.eps,
                step=step,
                steps=self.steps,
            )

    def objective(self, z: Tensor, same: Tensor) -> Tensor:
        """Mean over images of the contrastive loss plus the weighted distance.

        z: features (B,D). same: bool (B,B), whether two images share a class. For image i the first
        term is -log(sum over its class of exp(cos/T) / sum over all of exp(cos/T)), itself included
        in both; the second is log(1 + sum over its class of the L2 distance / D).
        """
        unit = F.normalize(z)
        similarity = unit @ unit.T / self.temperature
        apart = similarity.logsumexp(1) - similarity.masked_fill(~same, -torch.inf).logsumexp(1)
        if not self.distance:
            return apart.mean()
        square = z.square().sum(1)
        squares = (square[:, None] + square - 2 * z @ z.T).clamp(min=1e-12)
        spread = (squares.sqrt() * same).sum(1) / z.shape[1]
        return (apart + self.distance * spread.log1p()).mean()


@dataclass(frozen=True)
class RobustMIUE(MIUE):
    """MI-UE against a surrogate that is trained adversarially."""

    robust: Robust = field(default=Robust(radius=4 / 255, step=1.6 / 255))

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        name: {**fields, "robust.steps": 5}
        for name, fields in MIUE.PROFILES.items()  # reach 8/255
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs * (self.robust.cost + PERTURBING * self.steps)

    def learnt(self, net: nn.Module, z: Tensor, y: Tensor) -> Tensor:
        return self.robust.attacked(net, z, y, rng=None)


def against(radius: str) -> RobustMIUE:
    """mi-ue-at{radius}: the radius in grey levels of 255."""
    return RobustMIUE(robust=Robust(radius=int(radius) / 255, step=1.6 / 255))


VARIANTS = {"mi-ue": MIUE(), "mi-ue-cos": MIUE(distance=0.0), "mi-ue-trunc": MIUE(rounding="truncate")}
PATTERNS = {"mi-ue-at{radius}": against}
ALL = ("mi-ue",)

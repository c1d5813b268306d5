"""EntF: entangle the features of a robust net: away from the class's centroid, or towards another's.

Wen, Zhao, Liu, Backes, Wang, Zhang, "Is Adversarial Training Really a Silver Bullet for Mitigating Data
Poisoning?", ICLR 2023, section 4 (there INF, indiscriminative features). It aims at victims that are trained
adversarially: judge it there, at several radii.
Differs from the paper: the differentiable augmentation, drawn anew at every step, is the data set's
declared crop and flip, by whole pixels (the official one shifts by up to 8, by fractions of pixels); the
start is cut to the pixel range; the surrogate normalises with fixed constants. entf-pull takes at every
step the nearest of the other classes' centroids, as the official code does; there the distance to the own
centroid counts as 1, so that images whose features are farther than that from all others are pulled to
their own, which are left out here. Smaller profiles train the surrogate for fewer epochs, and attack it in
fewer steps while it learns; images get fewer steps, too; both are longer in quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.adversarial import Robust
from bench.core.augment import crop_flip
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.types import Recipe, Split

# the official code's learning rate drops after 75 and 90 of its 100 epochs
SURROGATE = Recipe(epochs=100, schedule="steps", milestones=(0.75, 0.9))

AWAY = 0.5  # share of images below which crafting failed, of those that are nearer to another centroid


@dataclass(frozen=True)
class EntF(Method):
    """Features of a robust surrogate, moved with respect to the classes' centroids."""

    surrogate: Recipe = field(default=SURROGATE)
    robust: Robust = field(default=Robust(radius=4 / 255, step=2 / 255))
    way: Literal["push", "pull"] = "push"  # from the own class's centroid, or to the nearest other one
    steps: int = 300  # sign steps on every image
    step: float = 0.05  # of eps, a step
    batch: int = 512  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.epochs": 15,
            "robust.steps": 2,
            "robust.step": 3 / 255,
            "steps": 40,
            "step": 0.2,
        },
        "cifar-cpu": {"surrogate.epochs": 15, "robust.steps": 4, "steps": 100},
        "reference": {"surrogate.epochs": 15, "robust.steps": 4, "steps": 100},
    }

    @property
    def passes(self) -> float:
        return self.surrogate.epochs * self.robust.cost + PERTURBING * self.steps

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        net, rng = frozen(lab.trained(clean, self.surrogate, self.robust)), lab.rng("attack")
        centroids = class_centroids(net, clean, lab.classes, self.batch)

        def move(rows: Tensor) -> Tensor:
            x, y = to_float(clean.images[rows]), clean.labels[rows]
            start = torch.empty_like(x).normal_(0, self.eps, generator=rng).clamp_(-self.eps, self.eps)
            return pgd(
                lambda z: self.objective(features(net, crop_flip(z, lab.augmentation, rng)), y, centroids),
                x,
                (x + start).clamp_(0, 1).sub_(x),
                eps=self.eps,
                step=self.step * self.eps,
                steps=self.steps,
            )

        delta = lab.perturbed(clean, self.batch, rng, move)
        if (away := self._away(net, clean, delta, centroids)) < AWAY:
            lab.unreached(
                f"the perturbed features of {100 * away:.0f} % of the images are nearer to another class's "
                f"centroid than to their own's, expected {100 * AWAY:.0f} or more"
            )
        return delta

    def objective(self, z: Tensor, y: Tensor, centroids: Tensor) -> Tensor:
        """Sum over images of the squared distance that is lowered, of push negative.

        z: features (B,D). y: labels (B,). centroids: (K,D).
        """
        if self.way == "push":
            return -(z - centroids[y]).square().sum()
        near = others(z.detach(), y, centroids).argmin(1)
        return (z - centroids[near]).square().sum()

    def _away(self, net: nn.Module, clean: Split, delta: Tensor, centroids: Tensor) -> float:
        """Share of perturbed images that are nearer to another class's centroid, in [0,1]."""
        away = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
        with torch.inference_mode():
            for rows in torch.arange(len(clean), device=delta.device).split(self.batch):
                y, z = clean.labels[rows], features(net, to_float(clean.images[rows]) + delta[rows])
                own = torch.linalg.vector_norm(z - centroids[y], dim=1)
                away = away + (others(z, y, centroids).amin(1) < own).sum()
        return int(away) / len(clean)


def features(net: nn.Module, x: Tensor) -> Tensor:
    """(B,C,H,W) in [0,1] -> (B,D), what the net's head reads."""
    z: Tensor = net.features(x)  # type: ignore[operator]
    return z


def class_centroids(net: nn.Module, clean: Split, classes: int, batch: int) -> Tensor:
    """Mean features (K,D) of each class's clean images; infinitely far for a class without images."""
    labels = F.one_hot(clean.labels, classes).float()
    with torch.inference_mode():
        z = torch.cat([features(net, to_float(part)) for part in clean.images.split(batch)])
    return (labels.T @ z / labels.sum(0)[:, None]).nan_to_num(nan=torch.inf)


def others(z: Tensor, y: Tensor, centroids: Tensor) -> Tensor:
    """Distances (B,K) of features to the classes' centroids; infinite to the own one."""
    own = F.one_hot(y, len(centroids)).bool()
    return torch.cdist(z, centroids, compute_mode="donot_use_mm_for_euclid_dist").masked_fill(own, torch.inf)


VARIANTS = {"entf-push": EntF(), "entf-pull": EntF(way="pull")}
ALL = ()

"""EM with a penalty: lower the surrogate's loss and the mutual information of clean and perturbed features.

Zhu, Miao, Dong, Gao, "Why Do Unlearnable Examples Work: A Novel Perspective of Mutual Information", ICLR 2026
(arXiv 2603.03725), ablation: EM with a MINE penalty. MINE: Belghazi et al., "Mutual Information Neural
Estimation", ICML 2018, section 3.
Differs from the paper: its official code has no such penalty, and how it was made is not known to us, so
all that is not EM's is ours. The features are those that the surrogate's head reads, of an image as it is and
as it is perturbed, in units of their deviation over the clean images. A new critic learns in each round,
before images are perturbed and on all of them, and then stays. It is separable, f(z).g(z'), and the
Donsker-Varadhan bound takes all mismatched pairs of a batch, where MINE's critic reads both together and is
shown one mismatched image each. Batches are shuffled: in one of a single class the bound would be of what the
class leaves open. Otherwise as EM, see there. Smaller profiles learn from crops, as EM's do, in smaller
batches, with fewer rounds and steps; quick at a lower rate, in longer steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.method import PERTURBING, Lab
from bench.core.pgd import pgd
from bench.core.pixels import to_float
from bench.core.rng import global_rng
from bench.core.train import Trainer
from bench.core.types import Recipe, Split
from methods._rounds import Rounds

WIDTH, EMBEDDING = 128, 32  # of the critic
FORWARD = 1 / 3  # cost of a pass without gradients, against one of training


class Critic(nn.Module):
    """Scores (B,B) of every clean image's features with every perturbed one's, both (B,D)."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.f, self.g = (
            nn.Sequential(nn.Linear(dimensions, WIDTH), nn.ReLU(), nn.Linear(WIDTH, EMBEDDING))
            for _ in range(2)
        )

    def forward(self, clean: Tensor, perturbed: Tensor) -> Tensor:
        scores: Tensor = self.f(clean) @ self.g(perturbed).T
        return scores


def bound(scores: Tensor) -> Tensor:
    """Donsker-Varadhan bound, nats, of scores (B,B) with pairs on the diagonal; 0 of a single image."""
    n = len(scores)
    if n < 2:
        return scores.sum() * 0
    pairs = torch.eye(n, dtype=torch.bool, device=scores.device)
    mismatched = scores.masked_fill(pairs, -torch.inf).flatten().logsumexp(0) - math.log(n * (n - 1))
    return scores.diagonal().mean() - mismatched


@dataclass(frozen=True)
class EMMine(Rounds):
    """Error-minimising noise whose features say little of the clean ones, one perturbation an image."""

    weight: float = 0.1  # of the bound, nats, beside the mean cross-entropy
    critic_epochs: int = 10  # over the features, in each round
    critic_lr: float = 0.05  # of the critic's SGD

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = (*Rounds.POSITIVE, "critic_epochs", "critic_lr")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.batch": 64,
            "surrogate.lr": 0.05,
            "augment": True,
            "steps": 5,
            "step": 0.2,
            "max_rounds": 40,
        },
        "cifar-cpu": {"surrogate.batch": 64, "augment": True, "steps": 10, "max_rounds": 30},
        "reference": {"surrogate.batch": 64, "augment": True, "steps": 10, "max_rounds": 30},
    }

    @property
    def passes(self) -> float:
        return self.expected * (self.share + 2 * FORWARD + PERTURBING * self.steps)

    def perturb(
        self, net: nn.Module, clean: Split, searched: Tensor, delta: Tensor, lab: Lab, rng: Generator
    ) -> None:
        before, after = (features(net, clean, delta * share, self.batch) for share in (0, 1))
        mean, unit = before.mean(0), before.std() + 1e-6
        before = (before - mean) / unit
        critic = self.taught(before, (after - mean) / unit, rng)
        for rows in searched[torch.randperm(len(searched), generator=rng, device=delta.device)].split(
            self.batch
        ):
            x, y, own = to_float(clean.images[rows]), clean.labels[rows], before[rows]

            def objective(z: Tensor, y: Tensor = y, own: Tensor = own) -> Tensor:
                found = net.features(z)  # type: ignore[operator]
                informed = bound(critic(own, (found - mean) / unit))
                return F.cross_entropy(net.head(found), y, reduction="sum") + self.weight * len(z) * informed  # type: ignore[operator]

            step = self.step * self.eps
            delta[rows] = pgd(objective, x, delta[rows], eps=self.eps, step=step, steps=self.steps)

    def taught(self, clean: Tensor, perturbed: Tensor, rng: Generator) -> Critic:
        """Make a critic of features (N,D) of the same images, and fit it; its weights take no gradients."""
        with global_rng(rng):
            critic = Critic(clean.shape[1]).to(clean.device)
        recipe = Recipe(lr=self.critic_lr, weight_decay=0.0, schedule="constant", clip=1.0)
        trainer = Trainer(critic, recipe)
        for _ in range(self.critic_epochs):
            for rows in torch.randperm(len(clean), generator=rng, device=clean.device).split(self.batch):
                trainer.step(-bound(critic(clean[rows], perturbed[rows])), 0.0)
        return critic.requires_grad_(False)


@torch.no_grad()
def features(net: nn.Module, clean: Split, delta: Tensor, batch: int) -> Tensor:
    """(N,D), what the net's head reads of images + delta."""
    rows = torch.arange(len(clean), device=delta.device).split(batch)
    return torch.cat([net.features((to_float(clean.images[r]) + delta[r]).clamp_(0, 1)) for r in rows])  # type: ignore[operator]


VARIANTS = {"em-mine": EMMine()}
ALL = ()

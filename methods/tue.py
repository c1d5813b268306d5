"""TUE-CSD: move the noise's class centres away from each other; no net and no image has a part in it.

Ren, Xu, Wan, Ma, Sun, Tang, "Transferable Unlearnable Examples", ICLR 2023, section 4: its class-wise
separability discriminant alone. The official commands for SimCLR and SimSiam give the loss of their nets no
weight, so that this is all that their noise follows.
Differs from the paper: perturbed images are in the pixel range as they are, where the official code cuts
two augmented views and takes the mean of what is left; there are 40 passes over the noise, where the
official code, whose 40 epochs have five each, has 200. As in the
official code, a class's spread counts as a constant: the gradient is the same for all images of a class in
a batch, and what it ends at is nearly one pattern a class, though each image begins at noise of its own.
Smaller profiles have 5 passes.
quick compares noise that is cropped and mirrored as the data set declares, drawn anew at every step: the
pixel-wise patterns that it ends at in place do not survive the victim's own crops, where images are few and
nets small (1,900 photographs: accuracy 52 % where clean's is 53, and that of noise which moves is 30; drawn
digits: 96, 96 and 14; one poison each).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.augment import crop_flip
from bench.core.method import Lab, Method, Need
from bench.core.pgd import pgd
from bench.core.pixels import to_float
from bench.core.train import batches
from bench.core.types import ADDED, Augmentation, Split

STILL = Augmentation(pad=0, flip=False)
APART = 0.9  # share of noise that is nearest to its own class's centre, below which crafting failed
TINY = 1e-5  # added to spreads and distances, pixels in [0,1]


@dataclass(frozen=True)
class TUECSD(Method):
    """Noise that is separable by class, found by sign steps."""

    epochs: int = 40  # passes over the noise
    steps: int = 20  # sign steps on every batch in each of them
    step: float = 0.1  # of eps, a step
    batch: int = 512  # images whose class centres are compared
    # whether noise is compared as it is after crops and mirrored images, drawn anew at every step
    augment: bool = field(default=False, metadata=ADDED)

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("epochs", "steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"epochs": 5, "augment": True},
        "cifar-cpu": {"epochs": 5},
        "reference": {"epochs": 5},
    }

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        delta, done = torch.empty(clean.images.shape, device=clean.images.device), 0
        rng, moved = lab.rng("augment"), lab.augmentation if self.augment else STILL
        delta.uniform_(-self.eps, self.eps, generator=lab.rng("start"))
        if state := lab.checkpoint.load():
            delta, done = state["delta"].to(delta), state["done"]
            rng.set_state(state["rng"])
        while done < self.epochs:
            for rows in batches(len(clean), self.batch, lab.order("compared"), done, delta.device):
                x, y = to_float(clean.images[rows]), clean.labels[rows]
                delta[rows] = pgd(
                    lambda z, x=x, y=y: discriminant(crop_flip(z - x, moved, rng), y),  # type: ignore[misc]
                    x,
                    delta[rows],
                    eps=self.eps,
                    step=self.step * self.eps,
                    steps=self.steps,
                )
            done += 1
            if lab.checkpoint.due():
                lab.checkpoint.save({"delta": delta, "done": done, "rng": rng.get_state()})
            lab.tick(done / self.epochs, f"pass {done}")
        if (own := separable(delta, clean.labels, self.batch)) < APART:
            lab.unreached(
                f"the noise of {100 * own:.0f} % of the images is nearest to the centre of its own class, "
                f"expected {100 * APART:.0f} or more"
            )
        return delta


def discriminant(delta: Tensor, labels: Tensor) -> Tensor:
    """Take the mean over pairs of classes of the sum of their spreads over their centres' distance.

    delta: (B,C,H,W). A class's spread, a constant to the gradient, is the mean L2 distance of its
    noise from its centre. 0 of one class.
    """
    flat = delta.flatten(1)
    found, of, counts = labels.unique(return_inverse=True, return_counts=True)
    centres = flat.new_zeros(len(found), flat.shape[1]).index_add(0, of, flat) / counts[:, None]
    far = (flat - centres[of]).detach().norm(dim=1)
    spread = far.new_zeros(len(found)).index_add(0, of, far) / counts
    apart = torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist")
    pairs = 1 - torch.eye(len(found), device=delta.device)
    ratios = (spread[:, None] + spread + TINY) / (apart + TINY) * pairs
    mean: Tensor = ratios.sum() / pairs.sum().clamp(min=1)
    return mean


def separable(delta: Tensor, labels: Tensor, batch: int) -> float:
    """Measure the share, in [0,1], of noise (N,C,H,W) nearest to the mean of its class's other noise."""
    flat = delta.flatten(1)
    found, of, counts = labels.unique(return_inverse=True, return_counts=True)
    centres = flat.new_zeros(len(found), flat.shape[1]).index_add(0, of, flat) / counts[:, None]
    without = counts / (counts - 1)  # times as far from the centre of the class's other images
    hits = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
    for rows in torch.arange(len(flat), device=delta.device).split(batch):
        own = F.one_hot(of[rows], len(found)).bool()
        far = torch.cdist(flat[rows], centres, compute_mode="donot_use_mm_for_euclid_dist")
        hits = hits + (torch.where(own, far * without, far).argmin(1) == of[rows]).sum()
    return int(hits) / len(flat)


VARIANTS = {"tue-csd": TUECSD()}
ALL = ()

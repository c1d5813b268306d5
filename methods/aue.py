"""AUE: error-minimising noise that is learnt and sought under strong augmentation.

Wang, Zhu, Gao, "Efficient Availability Attacks against Supervised and Contrastive Learning
Simultaneously", NeurIPS 2024, section 4: supervised crafting that covers contrastive learners.
Differs from the paper: the strength is that of CIFAR-10 (0.6; 1 for CIFAR-100); views are mirrored where
the data set allows it; colours are changed in one order (brightness, contrast, saturation, hue), where the
official code draws it for each batch; boxes are not rounded to whole pixels; the learning rate falls at
every step, not once an epoch; the net normalises with fixed constants, the official one not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.strong import Strong
from bench.core.train import Trainer, batches
from bench.core.types import Recipe, Split

READS = 0.5  # accuracy on clean images above which a surrogate learned them in place of the perturbation


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
        trainer, rng = Trainer(lab.net(), self.surrogate), lab.rng("augment")
        views = Strong(self.strength, lab.augmentation.flip)
        delta, rounds = torch.zeros(clean.images.shape, device=clean.images.device), self.surrogate.epochs
        done = _resume(trainer, delta, rng, lab.checkpoint.load())

        def loss(rows: Tensor, progress: float) -> Tensor:
            z = views.augment(to_float(clean.images[rows]) + delta[rows], rng)
            return F.cross_entropy(trainer.net(z), clean.labels[rows])

        learn = trainer.learner(loss, (rng,), steady=views.STEADY)
        while done < rounds:
            trainer.net.train()
            rows = batches(len(clean), self.surrogate.batch, lab.order("surrogate"), done, delta.device)
            for at, some in enumerate(rows):
                learn(some, (done + at / len(rows)) / rounds)
            self._perturb(frozen(trainer.net), clean, delta, views, rng)
            done += 1
            if lab.checkpoint.due():
                state = {"trainer": trainer.state(), "delta": delta, "rng": rng.get_state(), "done": done}
                lab.checkpoint.save(state)
            lab.tick(done / rounds, f"round {done}")
        lab.note(rounds=rounds, stop="rounds")
        if (clean_acc := lab.note_surrogate(trainer.net)) > READS:
            lab.unreached(
                f"the co-trained net reads {100 * clean_acc:.0f} % of clean images rightly, expected "
                f"{100 * READS:.0f} at most: it learned the images, not what is added to them"
            )
        return delta

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


def _resume(trainer: Trainer, delta: Tensor, rng: Generator, state: dict[str, Any] | None) -> int:
    if state is None:
        return 0
    trainer.load(state["trainer"])
    delta.copy_(state["delta"])
    rng.set_state(state["rng"])
    return int(state["done"])


VARIANTS = {"aue": AUE()}
ALL = ()

"""What EM and those that follow it share: train a net on perturbed images, perturb them, and so on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.train import Trainer, batches
from bench.core.types import Recipe, Split

REACHED = 0.1  # error above which a search without a stop of its own has not reached what it is for
# epochs is not used: rounds decide.
SURROGATE = Recipe(batch=512, schedule="constant", clip=5.0)


@dataclass(frozen=True)
class Rounds(Method):
    """A surrogate and a perturbation that are made in turn; how it is perturbed is the class's below."""

    surrogate: Recipe = field(default=SURROGATE)
    share: float = 0.1024  # of an epoch, trained in each round
    steps: int = 20  # sign steps on every image in each round
    step: float = 0.1  # of eps, a step
    stop_error: float = 0.01  # on the images that are searched, perturbed
    max_rounds: int = 500  # after which it stops, whatever the error
    batch: int = 512  # images perturbed at once
    augment: bool = False  # what the surrogate learns from; never what is perturbed

    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "share", "max_rounds", "batch")
    LIKELY: ClassVar[int] = 20  # rounds to the stop: 13 to 24 in stored runs of 9,500 photographs

    @property
    def expected(self) -> int:
        """Rounds that it takes: all where no error is low enough, else as many as the stop is likely to."""
        return self.max_rounds if self.stop_error < 0 else min(self.LIKELY, self.max_rounds)

    @property
    def passes(self) -> float:
        return self.expected * (self.share + PERTURBING * self.steps)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return alternate(self, clean, lab, torch.zeros(clean.images.shape, device=clean.images.device))

    def searched(self, clean: Split, lab: Lab) -> Tensor:
        """Rows of the images that are perturbed, and on which the error is measured."""
        return torch.arange(len(clean), device=clean.labels.device)

    def expand(self, delta: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Give the perturbation of these images."""
        return delta[rows]

    def learnt(self, clean: Split, rows: Tensor, delta: Tensor, lab: Lab, rng: Generator) -> Tensor:
        """Make what the surrogate learns from: (B,C,H,W) in [0,1]. delta: of these images."""
        z = (to_float(clean.images[rows]) + delta).clamp_(0, 1)
        return crop_flip(z, lab.augmentation, rng) if self.augment else z

    def perturb(
        self, net: nn.Module, clean: Split, searched: Tensor, delta: Tensor, lab: Lab, rng: Generator
    ) -> None:
        """Perturb every searched image anew, in place in delta. net: frozen. rng: this round's own."""
        for rows in searched.split(self.batch):
            delta[rows] = self.descend(net, clean, rows, delta[rows])

    def descend(self, net: nn.Module, clean: Split, rows: Tensor, start: Tensor) -> Tensor:
        """Give the perturbation of these images, from the one that they have."""
        raise NotImplementedError


def alternate(method: Rounds, clean: Split, lab: Lab, delta: Tensor) -> Tensor:
    """Train, perturb, and so on until the net makes few errors on the perturbed images."""
    trainer, rng = Trainer(lab.net(), method.surrogate), lab.rng("augment")
    done, error = _resume(trainer, delta, rng, lab.checkpoint.load())
    searched = method.searched(clean, lab)

    def loss(rows: Tensor, progress: float) -> Tensor:
        z = method.learnt(clean, rows, method.expand(delta, clean.labels, rows), lab, rng)
        return F.cross_entropy(trainer.net(z), clean.labels[rows])

    learn = trainer.learner(loss, (rng,), steady=True)
    while done < method.max_rounds and error > method.stop_error:
        trainer.net.train()
        for rows in _walk(method, clean, lab, done):
            learn(rows, done / method.max_rounds)  # a recipe's warm-up ends
        net = frozen(trainer.net)
        own = generator(seed_for(lab.order("perturbed"), done), delta.device)
        method.perturb(net, clean, searched, delta, lab, own)
        error = _error(net, method, clean, searched, delta)
        done += 1
        if lab.checkpoint.due():
            state = {"trainer": trainer.state(), "delta": delta, "rng": rng.get_state()}
            lab.checkpoint.save({**state, "done": done, "error": error})
        lab.tick(done / method.max_rounds, f"round {done}, error {error:.2f}")
    lab.note(rounds=done, error=error, stop="error" if error <= method.stop_error else "max_rounds")
    wanted = method.stop_error if method.stop_error >= 0 else REACHED
    if error > wanted:
        lab.unreached(f"surrogate's error {error:.2f} after {done} rounds, expected {wanted:g} at most")
    lab.note_surrogate(trainer.net)
    return delta


def _resume(
    trainer: Trainer, delta: Tensor, rng: Generator, state: dict[str, Any] | None
) -> tuple[int, float]:
    if state is None:
        return 0, 1.0
    trainer.load(state["trainer"])
    delta.copy_(state["delta"])
    rng.set_state(state["rng"])
    return state["done"], state["error"]


def _walk(method: Rounds, clean: Split, lab: Lab, done: int) -> list[Tensor]:
    """List a round's row numbers, by the batch, of an endless, reshuffled walk over the images."""
    size, order = method.surrogate.batch, lab.order("surrogate")
    per_epoch, per_round = math.ceil(len(clean) / size), max(1, round(method.share * len(clean) / size))
    epochs = range(done * per_round // per_epoch, math.ceil((done + 1) * per_round / per_epoch))
    walk = [b for e in epochs for b in batches(len(clean), size, order, e, clean.labels.device)]
    first = done * per_round - epochs.start * per_epoch
    return walk[first : first + per_round]


@torch.inference_mode()
def _error(net: nn.Module, method: Rounds, clean: Split, searched: Tensor, delta: Tensor) -> float:
    """Share of the searched images that the net gets wrong when they are perturbed."""
    wrong = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
    for rows in searched.split(method.batch):
        z = (to_float(clean.images[rows]) + method.expand(delta, clean.labels, rows)).clamp_(0, 1)
        wrong += (net(z).argmax(1) != clean.labels[rows]).sum()
    return int(wrong) / len(searched)

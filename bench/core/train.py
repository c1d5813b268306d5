"""The one training loop, for surrogates and victims."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip
from bench.core.checkpoint import Checkpoint
from bench.core.cuda_graphs import Replay
from bench.core.defense import Undefended, is_steady
from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.sgd import SGD
from bench.core.types import Augmentation, Recipe, Split

DROPS = {"steps": 0.1, "halvings": 0.5}  # schedule -> what a milestone leaves of the learning rate
Point = dict[str, float]  # one point of a learning curve
Tick = Callable[[float, str], None]  # told the share done, in [0,1], and what is going on
Loss = Callable[[Tensor, float], Tensor]  # of rows, and of the share of the training done
Learn = Callable[[Tensor, float], None]


def quiet(share: float, what: str) -> None:
    """Say nothing, as a Tick."""


@dataclass
class Streams:
    """The random streams of one training; which of them are shared is an experimental decision."""

    order: int  # seed; each epoch has a stream of its own
    augment: Generator
    defense: Generator

    @staticmethod
    def of(shared: int, own: int, device: torch.device) -> Streams:
        """shared: seed of order and crop/flip. own: seed of the defense's draws."""
        return Streams(
            seed_for(shared, "order"),
            generator(seed_for(shared, "augment"), device),
            generator(seed_for(own, "defense"), device),
        )

    def state(self) -> dict[str, Any]:
        return {"augment": self.augment.get_state(), "defense": self.defense.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        self.augment.set_state(state["augment"])
        self.defense.set_state(state["defense"])


def batches(n: int, size: int, order: int, epoch: int, device: torch.device) -> tuple[Tensor, ...]:
    """One epoch's row numbers, shuffled by (order, epoch) alone, in batches."""
    rows = torch.randperm(n, generator=generator(seed_for(order, epoch)))
    return tuple(rows.to(device).split(size))


def lr_at(recipe: Recipe, progress: float) -> float:
    """Return the learning rate after a share `progress` of the training."""
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule in DROPS:
        return recipe.lr * DROPS[recipe.schedule] ** sum(progress >= at for at in recipe.milestones)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_lr + (recipe.lr - recipe.final_lr) * cosine


class Trainer:
    """A net and its optimiser: the one place where weights move."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self.net, self.recipe = net, recipe
        device = next(net.parameters()).device
        # on a GPU a tensor, which a replayed step reads anew
        self.lr = torch.tensor(recipe.lr, device=device) if device.type == "cuda" else recipe.lr
        own: dict[str, Any] = {"lr": self.lr, "weight_decay": recipe.weight_decay, "fused": True}
        self.optimiser: torch.optim.Optimizer | SGD
        if recipe.optimiser == "adamw":
            self.optimiser = torch.optim.AdamW(net.parameters(), **own, capturable=device.type == "cuda")
        else:
            own |= {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
            self.optimiser = SGD(net.parameters(), **own)

    def learner(self, loss: Loss, rngs: tuple[Generator, ...], *, steady: bool) -> Learn:
        """Make a training step on loss(rows, progress), as a function of rows and progress.

        steady: it is the same work at every call, as Replay wants it, whatever progress is. rngs: all
        that it draws from.
        """
        if not steady:
            return lambda rows, progress: self.step(loss(rows, progress), progress)
        replay = Replay(lambda rows: self._update(loss(rows, 0.0)), rngs)

        def learn(rows: Tensor, progress: float) -> None:
            self._reach(progress)
            replay(rows)

        return learn

    def step(self, loss: Tensor, progress: float) -> None:
        self._reach(progress)
        self._update(loss)

    def _reach(self, progress: float) -> None:
        """Set the learning rate for this share of the training."""
        if isinstance(self.lr, Tensor):
            self.lr.fill_(lr_at(self.recipe, progress))
        else:
            self.optimiser.param_groups[0]["lr"] = lr_at(self.recipe, progress)

    def _update(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimiser.step()

    def state(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.optimiser.param_groups[0]["lr"] = self.lr


@dataclass
class Training:
    """What a training leaves besides the net."""

    curve: list[Point] = field(default_factory=list)
    seconds: float = 0.0  # of training alone, over all attempts; measuring the curve not counted


def fit(
    net: nn.Module,
    data: Split,
    recipe: Recipe,
    streams: Streams,
    augmentation: Augmentation,
    *,
    defense: Undefended | None = None,
    checkpoint: Checkpoint | None = None,
    measure: Callable[[nn.Module, int], Point | None] = lambda net, epoch: None,
    tick: Tick = quiet,
) -> Training:
    """Train net in place on data (what the defense prepared), resuming from the checkpoint.

    measure is asked after each epoch (1-based) for a point of the learning curve.
    """
    defense, checkpoint = defense or Undefended(), checkpoint or Checkpoint()
    trainer, done = Trainer(net, recipe), Training()
    epoch, at = _resume(trainer, streams, done, checkpoint.load())
    total = recipe.epochs * math.ceil(len(data) / recipe.batch)

    def loss(rows: Tensor, progress: float) -> Tensor:
        x = crop_flip(data.images[rows], augmentation, streams.augment)  # bytes move faster than floats
        x = defense.augment(to_float(x), streams.defense)
        return defense.loss(net, x, data.labels[rows], streams.defense, progress)

    learn = trainer.learner(loss, (streams.augment, streams.defense), steady=is_steady(defense))
    while epoch < recipe.epochs:
        started, before = time.monotonic(), done.seconds
        rows = batches(len(data), recipe.batch, streams.order, epoch, data.labels.device)
        net.train()
        for at in range(at, len(rows)):  # noqa: B020 (a resumed epoch starts in its middle)
            progress = (epoch * len(rows) + at) / total
            learn(rows[at], progress)
            tick(progress, "training")
            if checkpoint.due():
                done.seconds = before + time.monotonic() - started
                checkpoint.save(_state(trainer, streams, done, epoch, at + 1))
        if data.labels.device.type == "cuda":  # what it has yet to do, before the clock is read
            torch.cuda.synchronize(data.labels.device)
        done.seconds = before + time.monotonic() - started
        epoch, at = epoch + 1, 0
        point = measure(net, epoch)
        if point is not None:
            done.curve.append(point)
    net.eval()
    return done


def _state(trainer: Trainer, streams: Streams, done: Training, epoch: int, at: int) -> dict[str, Any]:
    place = {"curve": done.curve, "seconds": done.seconds, "epoch": epoch, "at": at}
    return {"trainer": trainer.state(), "streams": streams.state(), **place}


def _resume(
    trainer: Trainer, streams: Streams, done: Training, state: dict[str, Any] | None
) -> tuple[int, int]:
    if state is None:
        return 0, 0
    trainer.load(state["trainer"])
    streams.load(state["streams"])
    done.curve, done.seconds = list(state["curve"]), state["seconds"]
    return state["epoch"], state["at"]


@torch.inference_mode()
def predict(net: nn.Module, images: Tensor, batch: int = 500) -> Tensor:
    """uint8 (N,C,H,W) -> the predicted class (N,) int64; net in eval mode, left as it was."""
    judge = frozen(net)
    return torch.cat([judge(to_float(part)).argmax(1) for part in images.split(batch)])


def accuracy(net: nn.Module, split: Split) -> float:
    """Share of images classified rightly, in [0,1]."""
    return accuracies(net, split)[0]


def accuracies(net: nn.Module, split: Split) -> tuple[float, float, list[float | None]]:
    """Share of images classified rightly, mean of that over the classes that are there, that of each class.

    All in [0,1]; None of a class without images.
    """
    right, labels = (predict(net, split.images) == split.labels).double(), split.labels.cpu()
    images = torch.bincount(labels)
    shares = torch.bincount(labels, weights=right.cpu()) / images
    of_class = [share if n else None for share, n in zip(shares.tolist(), images.tolist(), strict=True)]
    return float(right.mean()), float(shares[images > 0].mean()), of_class

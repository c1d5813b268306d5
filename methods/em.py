"""EM: alternate between training a net on the perturbed images and lowering its loss on them.

Huang et al., "Unlearnable Examples: Making Personal Data Unexploitable", ICLR 2021, section 4.
Differs from the paper: training batches per round are a share of an epoch (10 batches of 512 are
0.1024 epochs of CIFAR-10), so that small data sets are not learnt before they are perturbed; they are
shuffled anew in each epoch (the official code takes sample-wise ones in the data set's order); rounds are
bounded; the net normalises with fixed constants. Perturbed images are in the pixel range throughout, where
the official code clips those it attacks and not those it learns from. Both signs of the noise are
published; em-positive publishes what the official loader makes of it: negative values dropped, the sum cut
to uint8.
Smaller profiles crop and flip the images that the surrogate learns from, as the data set declares: with
few images and a small net, noise that is learnt in place alone does not survive the victim's own crops. They
learn in smaller batches, and have fewer rounds and steps.
quick takes fewer, longer steps at a lower learning rate: minutes are what it has. It trains on two fifths of
an epoch in each round: with a fifth, on 1,900 drawn digits, four victims of one seed's poison reached 21 to
33 %, of another seed's 10 to 15 %. It has all its rounds, without a stop, which on so few images hangs on a
handful of them.
Class-wise: the fifth of every class, on which the error is measured too, is drawn once for a poison and keeps
its order; the stop is the official README's (error 0.1; its scripts have 0.01).
Shuffled is no method of the paper's but a control: if it is as good as em, noise tells the class and need not
fit the image that it is added to. Its noise is EM's of a seed of its own, not em's poison dealt anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.method import PERTURBING, PUBLISHING, Form, Lab
from bench.core.pgd import pgd
from bench.core.pixels import to_float, truncated
from bench.core.rng import generator
from bench.core.types import Split
from methods._rounds import Rounds, alternate


@dataclass(frozen=True)
class EM(Rounds):
    """Error-minimising noise, one perturbation an image."""

    # nearest: both signs, rounded; positive: no negative value, cut to grey levels, as the official loader
    rounding: Literal["nearest", "positive"] = field(default="nearest", metadata=PUBLISHING)

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.batch": 64,
            "surrogate.lr": 0.05,
            "augment": True,
            "share": 0.4,
            "steps": 3,
            "step": 0.34,
            "max_rounds": 44,
            "stop_error": -1.0,
            "batch": 64,
        },
        "cifar-cpu": {"surrogate.batch": 64, "augment": True, "steps": 10, "max_rounds": 30},
        "reference": {"surrogate.batch": 64, "augment": True, "steps": 10, "max_rounds": 30},
    }

    def publish(self, delta: Tensor) -> Tensor:
        return truncated(delta.clamp(min=0)) if self.rounding == "positive" else delta

    def descend(self, net: nn.Module, clean: Split, rows: Tensor, start: Tensor) -> Tensor:
        x, y = to_float(clean.images[rows]), clean.labels[rows]
        objective: Callable[[Tensor], Tensor] = lambda z: F.cross_entropy(net(z), y, reduction="sum")  # noqa: E731
        return pgd(objective, x, start, eps=self.eps, step=self.step * self.eps, steps=self.steps)


@dataclass(frozen=True)
class EMClass(EM):
    """Error-minimising noise, one pattern a class, searched on a fifth of the images."""

    steps: int = 1
    stop_error: float = 0.1
    subset: float = 0.2  # of the images, on which the patterns are searched

    revision: ClassVar[int] = 2  # 1: every poison searched the same fifth, drawn from all images alike
    form: ClassVar[Form] = "class-wise"
    POSITIVE: ClassVar[tuple[str, ...]] = (*Rounds.POSITIVE, "subset")
    LIKELY: ClassVar[int] = 31  # in stored runs 23 to 62
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"surrogate.batch": 64, "augment": True, "max_rounds": 40},
        "cifar-cpu": {"surrogate.batch": 64, "augment": True, "max_rounds": 120},
        "reference": {"surrogate.batch": 64, "augment": True, "max_rounds": 120},
    }

    @property
    def passes(self) -> float:
        return self.expected * (self.share + PERTURBING * self.steps * self.subset)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        patterns = torch.zeros((lab.classes, *clean.images.shape[1:]), device=clean.images.device)
        return alternate(self, clean, lab, patterns)[clean.labels]

    def searched(self, clean: Split, lab: Lab) -> Tensor:
        """Draw the same share of every class, by the poison's seed; shuffled."""
        shuffled = torch.randperm(len(clean), generator=generator(lab.order("searched")))
        own = F.one_hot(clean.labels.cpu()[shuffled], lab.classes)
        place = (own.cumsum(0) * own).sum(1)  # of an image within its class, from 1
        quota = (self.subset * own.sum(0)).ceil()
        return shuffled[place <= own @ quota.long()].to(clean.labels.device)

    def expand(self, delta: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        return delta[labels[rows]]

    def perturb(
        self, net: nn.Module, clean: Split, searched: Tensor, delta: Tensor, lab: Lab, rng: Generator
    ) -> None:
        """After each batch, move every class's pattern by the mean of its images' updates."""
        for rows in searched.split(self.batch):
            y = clean.labels[rows]
            moved, seen = torch.zeros_like(delta), torch.zeros(len(delta), device=delta.device)
            moved.index_add_(0, y, self.descend(net, clean, rows, delta[y]) - delta[y])
            seen.index_add_(0, y, torch.ones(len(y), device=delta.device))
            delta.add_(moved / seen.clamp(min=1).view(-1, 1, 1, 1)).clamp_(-self.eps, self.eps)


@dataclass(frozen=True)
class Shuffled(EM):
    """Error-minimising noise of other images: each has that of another one of its class, by the seed."""

    revision: ClassVar[int] = 1

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        delta = super().craft(clean, lab)
        dealt, labels = torch.arange(len(clean)), clean.labels.cpu()
        for label in range(lab.classes):
            own = (labels == label).nonzero()[:, 0]
            in_turn = own[torch.randperm(len(own), generator=generator(lab.order(f"shuffled {label}")))]
            dealt[in_turn] = in_turn.roll(1)  # nobody keeps its own
        return delta[dealt.to(delta.device)]


VARIANTS = {"em": EM(), "em-positive": EM(rounding="positive"), "em-class": EMClass(), "shuffled": Shuffled()}
CONTROLS = ("shuffled",)
ALL = ("em",)

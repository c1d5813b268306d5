"""A small run of training: random streams, crop and flip, the attack loop, the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from bench.core.augment import crop_flip
from bench.core.defense import Undefended
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.rng import generator, global_rng, seed_for
from bench.core.train import Streams, batches, fit, lr_at
from bench.core.types import Augmentation, Recipe
from golden.inputs import AUGMENTATION, BATCH, TRAIN, Tiny, split, weights
from golden.numbers import GREY, Numbers

CPU = torch.device("cpu")
PLAIN = Recipe(epochs=2, batch=BATCH, lr=0.1)
RECIPES = {
    "cosine": replace(PLAIN, final_lr=0.02),
    "nesterov": replace(PLAIN, nesterov=True, momentum=0.8),
    "decayed": replace(PLAIN, schedule="constant", weight_decay=0.1),
    "steps": replace(PLAIN, schedule="steps", milestones=(0.25, 0.5)),
    "halvings": replace(PLAIN, schedule="halvings", milestones=(0.5,)),
    "clipped": replace(PLAIN, clip=0.05),
}
PROGRESS = (0.0, 0.25, 0.4, 0.5, 0.99)


@dataclass(frozen=True)
class Watch(Undefended):
    """Changes nothing and draws once a step; keeps what each step was given."""

    steps: list[tuple[float, Tensor, Tensor, int]] = field(default_factory=list, compare=False)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        draw = int(torch.randint(10**6, (), generator=rng))
        loss = F.cross_entropy(net(x), y)  # not Undefended's, which has a revision of its own
        self.steps.append((progress, x, loss.detach(), draw))
        return loss

    STEADY = False  # it is told the progress

    def tell(self, numbers: Numbers, name: str) -> None:
        """What the steps were given."""
        progress, x, losses, draws = zip(*self.steps, strict=True)
        for step in (0, len(losses) - 1):
            numbers.add(f"loss of step {step}, {name}", float(losses[step]), 2e-4, "nats")
        numbers.add(f"progress of the steps, {name}", " ".join(f"{share:.4f}" for share in progress))
        numbers.same(f"images of the steps, {name}", *((batch * GREY).round().to(torch.int64) for batch in x))
        numbers.same(f"draws of the defense, {name}", torch.tensor(draws))


def loop(numbers: Numbers) -> None:
    """Streams, crops, PGD, and fit with each schedule."""
    _streams(numbers)
    _crops(numbers)
    _attack(numbers)
    for name, recipe in RECIPES.items():
        rates = " ".join(f"{lr_at(recipe, at):.6g}" for at in PROGRESS)
        numbers.add(f"learning rates, {name}", rates)
        _fit(numbers, name, recipe)


def _streams(numbers: Numbers) -> None:
    numbers.add("a seed", seed_for(3, "victim", "glyphs", 1))
    streams = Streams.of(3, 5, CPU)
    draws = [torch.randint(10**6, (5,), generator=rng) for rng in (streams.augment, streams.defense)]
    numbers.same("streams of a training", torch.tensor([streams.order]), *draws)
    numbers.same("shuffled epochs", *batches(TRAIN, BATCH, 7, 0, CPU), *batches(TRAIN, BATCH, 7, 1, CPU))
    rng = generator(11)
    with global_rng(rng):
        lent = torch.randint(10**6, (5,))
    numbers.same("a lent stream", lent, torch.randint(10**6, (5,), generator=rng))


def _crops(numbers: Numbers) -> None:
    images = split(BATCH, 4).images
    for pad, flip in ((2, True), (2, False), (0, True), (0, False)):
        numbers.same(
            f"crops, pad {pad}, flip {flip}", crop_flip(images, Augmentation(pad, flip), generator(5))
        )


def _attack(numbers: Numbers) -> None:
    x, weight = to_float(split(BATCH, 4).images), split(BATCH, 5).images.float().sub(100)
    weight[:, :, :2] = 0  # of which no sign step follows
    for eps, step in ((8 / 255, 3 / 255), (8 / 255, 1 / 255)):
        start = torch.full_like(x, 1 / 255)
        delta = pgd(lambda z: (z * weight).sum(), x, start, eps=eps, step=step, steps=4)
        name = f"delta, eps {eps * GREY:g} and step {step * GREY:g}"
        numbers.tensor(name, delta, 1e-3, "grey levels", GREY)
    net = Tiny(1).train()
    with torch.no_grad():
        net(x)
    copy = frozen(net)
    state = f"training {copy.training}, gradients {any(p.requires_grad for p in copy.parameters())}"
    numbers.add("a frozen net's state", f"{state}; its net's training {net.training}")
    with torch.no_grad():
        numbers.tensor("a frozen net's logits", copy(x), 1e-4)
    start = torch.zeros_like(x)
    y = split(BATCH, 4).labels
    rise = pgd(lambda z: -F.cross_entropy(copy(z), y, reduction="sum"), x, start, eps=0.1, step=0.03, steps=3)
    numbers.tensor("delta against a net, eps 25.5", rise, 0.05, "grey levels", GREY)


def _fit(numbers: Numbers, name: str, recipe: Recipe) -> None:
    net, watch, asked = Tiny(2), Watch(), list[str]()
    done = fit(
        net,
        split(TRAIN, 6),
        recipe,
        Streams.of(3, 5, CPU),
        AUGMENTATION,
        defense=watch,
        measure=lambda net, epoch: asked.append(f"{epoch}") or {"epoch": epoch},  # type: ignore[func-returns-value]
    )
    watch.tell(numbers, name)
    numbers.add(f"epochs that were measured, {name}", f"{' '.join(asked)}; points {len(done.curve)}")
    numbers.add(f"net in training mode afterwards, {name}", str(net.training))
    numbers.tensor(f"weights, {name}", weights(net), 2e-5)

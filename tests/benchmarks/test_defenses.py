"""What defenses add to a training step."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from bench.conform.run import small
from bench.core.defense import Undefended
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Split
from bench.experiment.registry import catalog
from benchmarks import loops
from benchmarks.figures import Figures, Work
from defenses.adversarial_training import AdversarialTraining
from defenses.ueraser import UEraser

NETS = {"small": ("fp32", 64, 20), "resnet18-slim": ("bf16", 128, 4)}
ATTACK = 4  # steps
EPOCHS = 30  # of a victim, over which what is done once is spread
FEW = 512  # images on which it is timed, 4 steps of 128
IMAGES = {"pca": 9_600}  # its eigenvectors, which are as dear for few images, are a tenth of FEW's training
FREE = "<= 1.05"  # of a training of resnet18-slim
BARS = {  # of plain steps of resnet18-slim; others are only shown
    "cutout": "<= 1.03",
    **dict.fromkeys(("cutmix", "mixup", "cutmix-kornia", "mixup-kornia", "op", "op-none"), FREE),
}
APART = (AdversarialTraining, UEraser)  # measured in steps and in views
DEFENSES = {n: p for n, p in catalog("defenses").variants.items() if not isinstance(p.value, APART)}


def having(*hooks: str) -> list[str]:
    """Defenses that have one of these hooks of their own."""
    own = [(n, type(p.value)) for n, p in DEFENSES.items()]
    return [n for n, kind in own if any(getattr(kind, h) is not getattr(Undefended, h) for h in hooks)]


def epoch(net: str, defense: Undefended | None, full: bool) -> Work:
    """() -> an epoch with the defense."""
    precision, batch, steps = NETS[net] if full else (NETS[net][0], 2, 1)
    return loops.ours(net, precision, batch, steps, defense)


@pytest.mark.parametrize("net", NETS)
def test_adversarial_training(net: str, figures: Figures) -> None:
    torch.set_num_threads(1)
    attacked = epoch(net, AdversarialTraining(steps=ATTACK), figures.full)
    ratio = figures.ratio(epoch(net, None, figures.full), attacked)
    what = f"seconds, adversarial training with {ATTACK} steps / {ATTACK + 1} plain steps, {net}"
    figures.add(what, ratio / (ATTACK + 1), "x", "<= 1.1")


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", having("augment", "loss"))
def test_steps(name: str, net: str, figures: Figures) -> None:
    """What a defense adds to every step."""
    torch.set_num_threads(1)
    plain, defended = epoch(net, None, figures.full), epoch(net, DEFENSES[name].value, figures.full)
    ratio = figures.ratio(plain, defended, rounds=25)  # of nine the median moved by 2 %
    bar = BARS.get(name, "") if net == "resnet18-slim" or name == "cutout" else ""
    figures.add(f"seconds, {name} / plain, {net}", ratio, "x", bar)


@pytest.mark.parametrize("name", having("prepare", "purify", "begin", "finish"))
def test_once(name: str, figures: Figures) -> None:
    """What is done once, before or after a training, against a training of EPOCHS epochs on the same images.

    Few images and small parameters: it shows what grows with images, not what pairs or priors cost in full.
    """
    torch.set_num_threads(1)
    net, n = "resnet18-slim", IMAGES.get(name, FEW) if figures.full else 24
    precision, batch, steps = NETS[net]
    plugin = DEFENSES[name].at("quick") if figures.full else small(DEFENSES[name])
    value, data = plugin.value, loops.images(n)
    for field in ("leaks", "reference"):
        if vars(value).get(field):
            value = replace(value, **{field: n // 2})
    plain = loops.ours(net, precision, min(n, batch), steps if figures.full else 1)
    epochs = EPOCHS * n / FEW if figures.full else EPOCHS  # plain is an epoch of FEW

    def once() -> None:
        kit, victim = loops.kit(net, data, value), deepcopy(loops.net_of(net, precision))
        shown = Split(value.purify(data.images, data.labels, kit), data.labels)
        value.begin(victim, shown, kit)
        value.finish(victim.eval(), shown, kit)

    ratio = figures.ratio(plain, once, rounds=5) / epochs
    what = f"seconds, {name} once and {EPOCHS} epochs / these, {net}"
    figures.add(what, 1 + ratio, "x", FREE if name in [*having("prepare"), "op", "op-plain", "pca"] else "")


@pytest.mark.parametrize("net", [*NETS, "resnet18"])
def test_ueraser_view(net: str, figures: Figures) -> None:
    """One draw of UEraser's augmentations against one training step on the same batch."""
    torch.set_num_threads(1)
    precision, batch, steps = ("bf16", 128, 2) if net == "resnet18" else NETS[net]
    batch = batch if figures.full else 2
    uer, x, rng = UEraser(), to_float(loops.images(batch).images), generator(0)
    bare = loops.bare(net, precision, batch)

    def views() -> None:
        for _ in range(10 * steps):
            uer.view(x, rng)

    ratio = figures.ratio(lambda: bare(steps), views)
    bar = "<= 0.1" if net == "resnet18" else ""
    figures.add(f"seconds, a view of UEraser / a training step, {net} {precision}", ratio / 10, "x", bar)

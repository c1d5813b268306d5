"""What defenses add to a training step."""

from __future__ import annotations

import pytest
import torch

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Augmentation
from bench.experiment.registry import catalog
from benchmarks import loops
from benchmarks.figures import Figures, Work
from defenses.adversarial_training import AdversarialTraining
from defenses.ueraser import UEraser

NETS = {"small": ("fp32", 64, 20), "resnet18-slim": ("bf16", 128, 4)}
ATTACK = 4  # steps
LIGHT = {  # bars: of plain steps
    "cutout": "<= 1.03",
    **dict.fromkeys(("cutmix", "mixup", "cutmix-kornia", "mixup-kornia"), "<= 1.05"),
    **dict.fromkeys(("noise8", "rsk", "rsk-dct30", "coin", "strong", "randaugment"), ""),
}


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
@pytest.mark.parametrize("name", LIGHT)
def test_light_defenses(name: str, net: str, figures: Figures) -> None:
    """Those that change a batch by a few operations."""
    torch.set_num_threads(1)
    value = catalog("defenses").get(name).value
    plain, defended = epoch(net, None, figures.full), epoch(net, value, figures.full)
    ratio = figures.ratio(plain, defended, rounds=25)  # of nine the median moved by 2 %
    figures.add(f"seconds, {name} / plain, {net}", ratio, "x", LIGHT[name])


@pytest.mark.parametrize("name", ["median3", "blur3", "bilateral", "dct-low30", "pca"])
def test_prepared_once(name: str, figures: Figures) -> None:
    """What a filter takes in all against one epoch of a small net on the same images."""
    torch.set_num_threads(1)
    value, n = catalog("defenses").get(name).value, 500 if figures.full else 4
    data = loops.images(n)
    kit = Kit(
        10,
        Augmentation(),
        data.take(torch.arange(min(n, 100))),
        lambda seed: loops.net_of("small", "fp32"),
        0,
    )
    plain = loops.ours("small", "fp32", min(n, 50), 10 if figures.full else 1)
    ratio = figures.ratio(plain, lambda: loops.void(value.purify(data.images, data.labels, kit)), rounds=5)
    figures.add(f"seconds, {name} of all images / an epoch on them, small", ratio, "x", "")


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
